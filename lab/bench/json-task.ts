import type { Grammar } from "../../src/decoding/grammar.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { Grammars } from "../../src/grammar/grammar.ts";
import { schemaGrammar } from "../../src/grammar/schema/schema.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { secondsOf } from "../sim/simulate.ts";
import { type RealAnswer, RealWorld, type Setting } from "./real-world.ts";

/**
 * Answers in JSON with and without what their grammar dictates, in turns: drafts of forced text, and tokens that are
 * the only ones allowed. Real models and sockets; the network and the hardware are emulated.
 */

export interface JsonTiming {
  readonly setting: Setting;
  readonly policy: string;
  readonly answers: number;
  readonly tokens: number;
  readonly tokensPerSecond: { readonly without: number; readonly with: number };
  readonly passesPerToken: { readonly without: number; readonly with: number };
  /** of all committed tokens: drafts that the grammar dictated, and that were accepted */
  readonly dictated: number;
  /** answers with the same text both times; null: the policy draws it anew for other drafts */
  readonly sameText: number | null;
}

export interface JsonTaskOptions {
  readonly setting: Setting;
  readonly targetFile: string;
  readonly drafterFile: string;
  readonly answers: number;
  readonly grammars: (
    tokenizer: Tokenizer,
    endTokens: readonly number[],
    options: { readonly dictates: boolean },
  ) => Promise<Grammars>;
}

/** Of the kind that the bundled pair was trained on. */
const PERSON = {
  type: "object",
  properties: {
    name: { type: "string", maxLength: 20 },
    age: { type: "integer", minimum: 1, maximum: 120 },
    city: { type: "string", maxLength: 20 },
    job: { enum: ["baker", "teacher", "nurse", "pilot", "farmer", "singer"] },
    married: { type: "boolean" },
  },
  required: ["name", "age", "city", "job", "married"],
  additionalProperties: false,
};
const TEXTS = [
  "Bea is 22 years old, lives in Lima, works as a baker and is married.",
  "Leo is 54 years old, lives in Oslo, works as a pilot and is not married.",
  "Mina is 31 years old, lives in Rome, works as a nurse and is married.",
];
const QUESTIONS = TEXTS.map(
  (text) => `Give a JSON object for this schema: ${JSON.stringify(PERSON)}\nText: ${text}`,
);

export async function benchJsonTask(options: JsonTaskOptions): Promise<JsonTiming[]> {
  const { setting, targetFile, drafterFile, answers } = options;
  const open = (dictates: boolean) =>
    RealWorld.open(setting, targetFile, drafterFile, (tokenizer, ends) =>
      options.grammars(tokenizer, ends, { dictates }),
    );
  const [without, having] = [await open(false), await open(true)];
  try {
    const grammar = await schemaGrammar(PERSON);
    const timings: JsonTiming[] = [];
    for (const policy of ["cloud", "race", "picospec"] as const) {
      timings.push(await compared(without, having, setting, policy, answers, grammar));
    }
    return timings;
  } finally {
    await without.close();
    await having.close();
  }
}

async function compared(
  without: RealWorld,
  having: RealWorld,
  setting: Setting,
  policy: "cloud" | "race" | "picospec",
  answers: number,
  grammar: Grammar,
): Promise<JsonTiming> {
  const [plain, helped]: [RealAnswer[], RealAnswer[]] = [[], []];
  for (let seed = 0; seed < answers; seed++) {
    const question = QUESTIONS[seed % QUESTIONS.length]!;
    plain.push(await without.answer(POLICIES[policy], question, seed, 0.8, grammar));
    helped.push(await having.answer(POLICIES[policy], question, seed, 0.8, grammar));
  }
  const same = plain.filter(({ tokens }, i) => tokens.join(" ") === helped[i]!.tokens.join(" ")).length;
  const sum = (all: readonly RealAnswer[], of: (statistics: PipelineStatistics) => number) =>
    all.reduce((total, { statistics }) => total + of(statistics), 0);
  const tokens = (all: readonly RealAnswer[]) => sum(all, (one) => one.tokens);
  const both = (of: (all: readonly RealAnswer[]) => number) => ({ without: of(plain), with: of(helped) });
  return {
    setting,
    policy,
    answers,
    tokens: tokens(helped),
    tokensPerSecond: both((all) => tokens(all) / sum(all, secondsOf)),
    passesPerToken: both((all) => sum(all, (one) => one.usage?.targetPasses ?? 0) / tokens(all)),
    dictated: sum(helped, (one) => one.sources.grammar.accepted) / tokens(helped),
    sameText: POLICIES[policy].coupling === "gumbel" ? same : null,
  };
}
