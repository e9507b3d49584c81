import { EngineError } from "../engine.ts";
import { LlamaContext } from "./context.ts";
import type { ModelFile } from "./gguf.ts";
import { LlamaModel } from "./model.ts";

/** What an engine does with a model, on a small scale: for a process that may not survive it. */

const TRIAL_TOKENS = 64;

/** The shape of all computations, without the weights: costs the same for every size. @throws EngineError */
export async function tryStructure(file: ModelFile): Promise<void> {
  const model = await LlamaModel.load(file.path, { gpu: "off", structureOnly: true, file });
  const context = await trialContext(model, 1, false).catch((error) => {
    model.close();
    throw error;
  });
  context.close();
  model.close();
}

/** Passes as a drafter and as a target make them. @throws EngineError */
export async function tryPasses(file: ModelFile): Promise<void> {
  const model = await LlamaModel.load(file.path, { gpu: "off", file });
  try {
    for (const batchInvariant of [false, true]) {
      const context = await trialContext(model, batchInvariant ? 2 : 1, batchInvariant);
      try {
        await pass(context, [1]);
        await pass(context, batchInvariant ? [1, 20] : [20]);
        context.truncate(0, 1);
        await pass(context, [2]);
      } finally {
        context.close();
      }
    }
  } finally {
    model.close();
  }
}

function trialContext(model: LlamaModel, sequences: number, batchInvariant: boolean): Promise<LlamaContext> {
  if (model.trainedContext < 1) {
    throw new EngineError("bad_model", `${model.file.path} says that it knows no token of context`);
  }
  const contextTokens = Math.min(model.trainedContext, TRIAL_TOKENS);
  return LlamaContext.create(model, {
    ...{ sequences, contextTokens, batchInvariant },
    batchTokens: TRIAL_TOKENS,
    rows: 8,
    threads: 1,
  });
}

/** @param counts tokens of each sequence, as many as its context has room for */
async function pass(context: LlamaContext, counts: readonly number[]): Promise<void> {
  const { vocabularySize, options } = context;
  const rows = counts.map((count, sequence) => {
    const room = options.contextTokens - context.length(sequence);
    const tokens = Int32Array.from({ length: Math.min(count, room) }, (_, i) => {
      return Math.floor((i * vocabularySize) / count);
    });
    return tokens.length === 0 ? null : context.add(sequence, tokens, 1);
  });
  if (rows.every((row) => row === null)) return;
  await new Promise<void>((resolve, reject) => {
    context.decode((error) => (error ? reject(error) : resolve()));
  });
  for (const row of rows) if (row !== null) context.row(row);
}
