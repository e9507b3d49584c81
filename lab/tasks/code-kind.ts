import type { Dice } from "./dice.ts";

/** What all kinds of small functions have in common. */

/** What a function is about, drawn once for each task. */
export interface Subject {
  /** a number, for example "price" */
  readonly number: string;
  readonly numbers: string;
  /** a text, for example "word" */
  readonly text: string;
  readonly texts: string;
  readonly bound: number;
  /** of a loop */
  readonly item: string;
}

export interface FunctionKind {
  /** first words of names; the last part is added */
  readonly verbs: readonly string[];
  readonly nameEnd: string;
  /** "that …" */
  readonly does: readonly string[];
  readonly parameters: string;
  readonly returns: string;
  /** each is one way, line by line */
  readonly bodies: readonly (readonly string[])[];
  readonly inputs: readonly (readonly unknown[])[];
  // biome-ignore lint/suspicious/noExplicitAny: each kind has inputs of its own
  readonly reference: (...args: any[]) => unknown;
}

export const NUMBERS =
  "price score weight height total speed level amount cost rate length size grade temperature distance balance volume width".split(
    " ",
  );
const TEXTS = "word title label line message phrase tag color letter note path sentence".split(" ");

export function drawSubject(dice: Dice): Subject {
  const [number, text] = [dice.pick(NUMBERS), dice.pick(TEXTS)];
  return {
    number,
    numbers: `${number}s`,
    text,
    texts: `${text}s`,
    bound: dice.between(2, 99),
    item: dice.pick(["item", "x", "value", "entry"]),
  };
}

/** Lines of a loop over a list. */
export const loop = (item: string, list: string, ...body: string[]) => [
  `for (const ${item} of ${list}) {`,
  ...body.map((line) => `  ${line}`),
  "}",
];

/** A kind of function about a subject. */
export type Maker = (subject: Subject, dice: Dice) => FunctionKind;
