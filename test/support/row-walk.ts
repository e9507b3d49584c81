import { LlamaContext } from "../../src/engine/llama/context.ts";
import type { LlamaModel } from "../../src/engine/llama/model.ts";
import { draws } from "./world.ts";

/** Random work on a target's context, and how many of its rows are not those of the same text fed alone. */

const TEXT_TOKENS = 180;
export const ROW_SHAPE = {
  ...{ contextTokens: 320, batchTokens: 200, rows: 200, threads: 1 },
  batchInvariant: true,
};

type Shape = Partial<typeof ROW_SHAPE>;

export const sameRow = (a: Float32Array, b: Float32Array) => a.every((value, i) => value === b[i]);

export function decoded(context: LlamaContext): Promise<void> {
  return new Promise((resolve, reject) => context.decode((error) => (error ? reject(error) : resolve())));
}

export function randomTexts(
  model: LlamaModel,
  count: number,
  tokens: number,
  random: () => number,
): Int32Array[] {
  return Array.from({ length: count }, () =>
    Int32Array.from({ length: tokens }, () => 10 + below(random, model.vocabularySize - 20)),
  );
}

/** All rows of a text, fed in passes of `size` tokens to a context of its own. */
export async function rowsOf(
  model: LlamaModel,
  text: Int32Array,
  size: number,
  shape: Shape = {},
): Promise<Float32Array[]> {
  const context = await LlamaContext.create(model, { ...ROW_SHAPE, sequences: 1, ...shape });
  const rows: Float32Array[] = [];
  for (let at = 0; at < text.length; at += size) {
    const part = text.subarray(at, at + size);
    const index = context.add(0, part, part.length);
    await decoded(context);
    for (let i = 0; i < part.length; i++) rows.push(context.row(index + i).slice());
  }
  context.close();
  return rows;
}

const below = (random: () => number, bound: number) => Math.floor(random() * bound);

/** A sequence of the walk: how much of which text it holds. */
interface Walker {
  text: number;
  length: number;
}

interface Asked {
  readonly text: number;
  readonly from: number;
  readonly index: number;
  readonly count: number;
}

interface Walked {
  readonly rows: number;
  /** rows that are not the same bits */
  readonly off: number;
  /** the largest difference of two logits */
  readonly worst: number;
}

/** The largest difference of two rows. */
export function distance(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

/** Drafts, rollbacks, prompts, new texts and shared beginnings, on four sequences. */
export async function walk(model: LlamaModel, passes: number, shape: Shape = {}): Promise<Walked> {
  const random = draws(7);
  const material = randomTexts(model, 6, TEXT_TOKENS, random);
  const alone = await Promise.all(material.map((text) => rowsOf(model, text, 1, shape)));
  const context = await LlamaContext.create(model, { ...ROW_SHAPE, ...shape, sequences: 4 });
  const walkers: Walker[] = Array.from({ length: 4 }, (_, text) => ({ text, length: 0 }));
  let [rows, off, worst] = [0, 0, 0];
  for (let pass = 0; pass < passes; pass++) {
    share(context, walkers, random);
    const asked = step(context, walkers, material, random);
    if (asked.length === 0) continue;
    await decoded(context);
    for (const { text, from, index, count } of asked) {
      rows += count;
      for (let i = 0; i < count; i++) {
        const [row, right] = [context.row(index + i), alone[text]![from + i]!];
        if (sameRow(row, right)) continue;
        off++;
        worst = Math.max(worst, distance(row, right));
      }
    }
  }
  context.close();
  return { rows, off, worst };
}

/** Now and then one gets the beginning of another, or all of it. */
function share(context: LlamaContext, walkers: Walker[], random: () => number): void {
  if (below(random, 8) > 0) return;
  const [from, to] = [below(random, walkers.length), below(random, walkers.length)];
  if (from === to) return;
  const { text, length } = walkers[from]!;
  const copied = below(random, 2) === 0 ? length : below(random, length + 1);
  context.copy(from, to, copied);
  walkers[to] = { text, length: copied };
}

function step(
  context: LlamaContext,
  walkers: readonly Walker[],
  material: readonly Int32Array[],
  random: () => number,
): Asked[] {
  let room = context.options.batchTokens;
  const asked: Asked[] = [];
  for (const [id, walker] of walkers.entries()) {
    if (below(random, 10) < 3) continue;
    const starts = below(random, 30) === 0 || walker.length === TEXT_TOKENS;
    if (starts) Object.assign(walker, { text: below(random, material.length), length: 0 });
    else if (below(random, 5) < 2) walker.length -= below(random, Math.min(6, walker.length + 1));
    context.truncate(id, walker.length);
    const wanted = below(random, 10) === 0 ? 90 : 1 + below(random, 6);
    const count = Math.min(wanted, TEXT_TOKENS - walker.length, room);
    if (count === 0) continue;
    const part = material[walker.text]!.subarray(walker.length, walker.length + count);
    const rows = 1 + below(random, count);
    const from = walker.length + count - rows;
    asked.push({ text: walker.text, from, index: context.add(id, part, rows), count: rows });
    walker.length += count;
    room -= count;
  }
  return asked;
}
