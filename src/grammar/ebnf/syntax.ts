import { SettingError } from "../../util/errors.ts";
import type { CharSet } from "./chars.ts";

/** What a grammar is once it is read. Nodes are never changed, and are told apart by identity. */
export type Node =
  /** code points, one or more */
  | { readonly kind: "text"; readonly codes: readonly number[] }
  /** one character of the set, which is not empty */
  | { readonly kind: "class"; readonly set: CharSet }
  | { readonly kind: "rule"; readonly rule: number }
  /** none: the empty text */
  | { readonly kind: "sequence"; readonly parts: readonly Node[] }
  /** one or more */
  | { readonly kind: "choice"; readonly options: readonly Node[] }
  /** [from, to] times, to >= 1, Infinity: any number */
  | { readonly kind: "repeat"; readonly of: Node; readonly from: number; readonly to: number };

/** Bodies by the number of the rule. */
export interface Rules {
  readonly bodies: readonly Node[];
  readonly root: number;
}

export const EMPTY: Node = { kind: "sequence", parts: [] };

export function sequence(parts: readonly Node[]): Node {
  return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
}

export function choice(options: readonly Node[]): Node {
  return options.length === 1 ? options[0]! : { kind: "choice", options };
}

export function repeat(of: Node, from: number, to: number): Node {
  if (to === 0 || of === EMPTY) return EMPTY;
  return from === 1 && to === 1 ? of : { kind: "repeat", of, from, to };
}

/** The nodes right under one. */
export function children(node: Node): readonly Node[] {
  switch (node.kind) {
    case "sequence":
      return node.parts;
    case "choice":
      return node.options;
    case "repeat":
      return [node.of];
    default:
      return [];
  }
}

/** So that nothing that is read can cost without bound, and no stack overflows. */
export const EBNF_LIMITS = {
  /** parentheses and repeats within each other */
  nesting: 200,
  rules: 10_000,
  /** n in {m,n} */
  repeats: 10_000,
  /** product of repeats within each other */
  repeatsInRepeats: 1_000_000,
} as const;

/** Of a message, in characters: a name in it may be as long as a source. */
const MOST_WORDS = 300;

export function ebnfError(what: string, line?: number): SettingError {
  const where = line === undefined ? "EBNF" : `EBNF, line ${line}`;
  return new SettingError("grammar", `${where}: ${what.slice(0, MOST_WORDS)}`);
}
