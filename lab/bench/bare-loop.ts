import type { PassEngine, PassItem, PassResult } from "../../src/engine/engine.ts";
import type { Seed } from "../../src/sampling/random.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";

/**
 * What a target gives with nothing around it: pass after pass over the same sequences, each token drawn as the cloud draws
 * it. No network, no state machine, no other process.
 */

export interface BareLoop {
  readonly tokens: number;
  /** of all of them together, without the prompts */
  readonly ms: number;
  /** answers, without the prompts */
  readonly answers: readonly (readonly number[])[];
}

export interface BareSequence {
  readonly prompt: Int32Array;
  readonly seed: Seed;
}

/** A sequence in a slot. */
export interface BareRow {
  readonly tokens: number[];
  readonly seed: Seed;
  readonly slot: number;
}

interface Row extends BareRow {
  readonly promptLength: number;
  over: boolean;
}

/** @param engine its slots [0, sequences.length) are used; what they hold is dropped */
export async function bareLoop(
  engine: PassEngine,
  sequences: readonly BareSequence[],
  sampler: SamplerSettings,
  maxTokens: number,
  endTokens: readonly number[],
): Promise<BareLoop> {
  const rows = sequences.map(({ prompt, seed }, slot): Row => {
    return { tokens: [...prompt], seed, slot, promptLength: prompt.length, over: false };
  });
  // The prompts are fed before: the rate is that of answers.
  for (const row of rows) await feedPrompt(engine, row);
  const startMs = performance.now();
  let count = 0;
  while (rows.some(({ over }) => !over)) {
    const open = rows.filter(({ over }) => !over);
    const results = await pass(
      engine,
      open.map((row) => nextToken(row, sampler)),
    );
    for (const [i, row] of open.entries()) {
      const [answer] = results[i]!.answers;
      if (answer?.kind !== "token") throw new Error("a bare loop asks for tokens");
      row.tokens.push(answer.token);
      count++;
      const length = row.tokens.length - row.promptLength;
      row.over = length >= maxTokens || endTokens.includes(answer.token);
    }
  }
  const ms = performance.now() - startMs;
  return { tokens: count, ms, answers: rows.map(({ tokens, promptLength }) => tokens.slice(promptLength)) };
}

/** Computes the KV of all tokens but the last. */
export async function feedPrompt(engine: PassEngine, { tokens, slot }: BareRow): Promise<void> {
  const prompt = Int32Array.from(tokens.slice(0, -1));
  for (let from = 0; from < prompt.length; from += engine.passTokens) {
    const part = prompt.subarray(from, from + engine.passTokens);
    await pass(engine, [{ slot, from, tokens: part, questions: [], hold: false }]);
  }
}

/** One pass over the last token and those that follow it, with a draw for each. */
export async function passOver(
  engine: PassEngine,
  row: BareRow,
  following: readonly number[],
  sampler: SamplerSettings,
): Promise<void> {
  const item = nextToken(row, sampler);
  const [question] = item.questions;
  const questions = [...item.questions];
  for (let i = 1; i <= following.length; i++) {
    questions.push({ ...question!, position: row.tokens.length + i });
  }
  await pass(engine, [{ ...item, tokens: Int32Array.of(item.tokens[0]!, ...following), questions }]);
}

function nextToken({ tokens, slot, seed }: BareRow, sampler: SamplerSettings): PassItem {
  const position = tokens.length;
  const history = Int32Array.from(tokens);
  return {
    slot,
    from: position - 1,
    tokens: Int32Array.of(tokens[position - 1]!),
    questions: [{ ask: "sample", sampler, seed, position, lineage: 0, history }],
    hold: false,
  };
}

function pass(engine: PassEngine, items: readonly PassItem[]): Promise<PassResult[]> {
  return new Promise((resolve, reject) => {
    engine.pass(items, (error, results) => (error ? reject(error) : resolve(results)));
  });
}
