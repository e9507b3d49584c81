import type { DraftModel, PassEngine } from "../../src/engine/engine.ts";
import { bareDecoder } from "../../src/engine/llama/bare.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { type Timing, timing } from "./measure.ts";

/**
 * A token through the engine's interface against `llama_decode` alone: called asynchronously, as the engine has
 * to so that the event loop stays free, and on the calling thread, which shows what the way to another thread
 * and back costs.
 */

export interface EngineTiming {
  readonly model: string;
  readonly side: "target" | "drafter";
  readonly throughInterfaceMs: Timing;
  readonly bareMs: Timing;
  readonly bareSyncMs: Timing;
  /** over `bareMs`, of the differences position by position */
  readonly extraMs: Timing;
  /** over `bareSyncMs` */
  readonly extraOverSyncMs: Timing;
}

/** Decodes one token at a position, through the interface. */
type Step = (token: number, position: number) => Promise<void>;

const POSITIONS = 240;
const ROUNDS = 9;
const CONTEXT_TOKENS = 256;

export async function benchEngine(targetFile: string, drafterFile: string): Promise<EngineTiming[]> {
  return [await benchTarget(targetFile), await benchDrafter(drafterFile)];
}

async function benchTarget(file: string): Promise<EngineTiming> {
  const model = await LlamaModel.load(file, { gpu: "off" });
  const options = { kvSlots: 1, threads: 1, contextTokens: CONTEXT_TOKENS };
  const target = await llamaTargetModel(model, options);
  const timed = await compare(model, "target", targetStep(target));
  target.close();
  model.close();
  return timed;
}

async function benchDrafter(file: string): Promise<EngineTiming> {
  const model = await LlamaModel.load(file, { gpu: "off" });
  const drafter = await llamaDraftModel(model, { threads: 1, contextTokens: CONTEXT_TOKENS });
  const timed = await compare(model, "drafter", draftStep(drafter));
  drafter.close();
  model.close();
  return timed;
}

function targetStep(target: PassEngine): Step {
  const sampler = samplerSettings({ temperature: 0 });
  const question = {
    ask: "sample",
    sampler,
    seed: toSeed(1),
    lineage: 0,
    history: new Int32Array(0),
  } as const;
  return (token, from) =>
    new Promise((resolve, reject) => {
      const questions = [{ ...question, position: from + 1 }];
      const item = { slot: 0, from, tokens: Int32Array.of(token), questions, hold: false };
      target.pass([item], (error) => (error ? reject(error) : resolve()));
    });
}

function draftStep(drafter: DraftModel): Step {
  return (token, from) =>
    new Promise((resolve, reject) => {
      drafter.feed(
        from,
        Int32Array.of(token),
        () => {},
        (error) => (error ? reject(error) : resolve()),
      );
    });
}

/** Whole runs in turns, so that each has warm caches; the differences are taken position by position. */
async function compare(model: LlamaModel, side: EngineTiming["side"], step: Step): Promise<EngineTiming> {
  const bare = bareDecoder(model, CONTEXT_TOKENS, 1);
  const samples: { ours: number[]; async: number[]; sync: number[] } = { ours: [], async: [], sync: [] };
  for (let round = 0; round < ROUNDS; round++) {
    const ours = await timeRun(step);
    const async = await timeRun(bare.decodeAsync);
    const sync = await timeRun(bare.decode);
    if (round === 0) continue; // to warm up
    samples.ours.push(...ours);
    samples.async.push(...async);
    samples.sync.push(...sync);
  }
  bare.close();
  const over = (base: readonly number[]) => timing(samples.ours.map((ms, i) => ms - base[i]!));
  return {
    model: model.file.name,
    side,
    throughInterfaceMs: timing(samples.ours),
    bareMs: timing(samples.async),
    bareSyncMs: timing(samples.sync),
    extraMs: over(samples.async),
    extraOverSyncMs: over(samples.sync),
  };
}

async function timeRun(step: (token: number, position: number) => Promise<void> | void): Promise<number[]> {
  const samples: number[] = [];
  for (let position = 0; position < POSITIONS; position++) {
    const token = 4 + ((position * 37) % 1000);
    const startMs = performance.now();
    await step(token, position);
    samples.push(performance.now() - startMs);
  }
  return samples;
}
