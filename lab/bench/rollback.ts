import { bareDecoder } from "../../src/engine/llama/bare.ts";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { type Timing, timing } from "./measure.ts";

/** What a rollback costs, next to a pass: nothing where attention is cut back, and a checkpoint and a replay elsewhere. */
export interface RollbackTiming {
  readonly model: string;
  /** a pass over one token */
  readonly oneMs: Timing;
  /** over five, all of which stay; a model with recurrent layers keeps a checkpoint before it */
  readonly fiveMs: Timing;
  /** over five after a rollback of four: the state is put back, and the fifth of those before is computed again */
  readonly afterRollbackMs: Timing;
  /** null: it has no recurrent layers */
  readonly checkpoint: { readonly bytes: number; readonly keepMs: Timing; readonly putBackMs: Timing } | null;
}

const CONTEXT_TOKENS = 256;
const DRAFTED = 5;
const ROUNDS = 5;
/** of each kind in a round */
const PASSES = 30;
const SHAPE = { sequences: 1, contextTokens: CONTEXT_TOKENS, batchTokens: 64, rows: 64, threads: 1 };

export async function benchRollback(file: string): Promise<RollbackTiming> {
  const model = await LlamaModel.load(file, { gpu: "off" });
  const context = await LlamaContext.create(model, { ...SHAPE, batchInvariant: true });
  const samples = { one: [] as number[], five: [] as number[], afterRollback: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    const one = await passes(context, 1, 1);
    const five = await passes(context, DRAFTED, DRAFTED);
    const afterRollback = await passes(context, DRAFTED, 1);
    if (round === 0) continue; // to warm up
    samples.one.push(...one);
    samples.five.push(...five);
    samples.afterRollback.push(...afterRollback);
  }
  context.close();
  const checkpoint = await checkpointOf(model);
  model.close();
  return {
    model: model.file.name,
    oneMs: timing(samples.one),
    fiveMs: timing(samples.five),
    afterRollbackMs: timing(samples.afterRollback),
    checkpoint,
  };
}

const tokenAt = (position: number) => 4 + ((position * 37) % 1000);

/** Times of passes over `count` tokens, `kept` of which stay, from an empty sequence. */
async function passes(context: LlamaContext, count: number, kept: number): Promise<number[]> {
  context.clear(0);
  const samples: number[] = [];
  for (let i = 0; i < PASSES; i++) {
    const from = context.length(0);
    const tokens = Int32Array.from({ length: count }, (_, at) => tokenAt(from + at));
    const startMs = performance.now();
    context.add(0, tokens, count);
    await new Promise<void>((resolve, reject) =>
      context.decode((error) => (error ? reject(error) : resolve())),
    );
    samples.push(performance.now() - startMs);
    context.truncate(0, from + kept);
  }
  // Nothing was taken back before the first.
  return samples.slice(1);
}

async function checkpointOf(model: LlamaModel): Promise<RollbackTiming["checkpoint"]> {
  const bare = bareDecoder(model, CONTEXT_TOKENS, 1);
  const { state } = bare;
  const [keep, putBack]: [number[], number[]] = [[], []];
  for (let position = 0; state && position < ROUNDS * PASSES; position++) {
    bare.decode(tokenAt(position), position);
    const startMs = performance.now();
    await state.save(position + 1);
    const keptMs = performance.now();
    await state.restore(position + 1);
    putBack.push(performance.now() - keptMs);
    keep.push(keptMs - startMs);
  }
  const bytes = state?.bytes() ?? 0;
  bare.close();
  return state && { bytes, keepMs: timing(keep.slice(PASSES)), putBackMs: timing(putBack.slice(PASSES)) };
}
