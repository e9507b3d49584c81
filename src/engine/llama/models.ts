import { MOST_IDENTITY_UNITS, type TargetIdentity } from "../../decoding/identity.ts";
import { assert } from "../../util/assert.ts";
import { ROW_CAPABILITIES } from "../capabilities.ts";
import {
  acceptedLength,
  type DraftModel,
  EngineError,
  type ModelInfo,
  type PassEngine,
  type PassItem,
  type PassResult,
  rowsOf,
} from "../engine.ts";
import { RowAnswers } from "../rows.ts";
import { attentionIdentity, placementIdentity } from "./compute.ts";
import { LlamaContext } from "./context.ts";
import { readModelDetails } from "./details.ts";
import { closedError, engineError } from "./errors.ts";
import { partsOf } from "./gguf.ts";
import type { LlamaModel } from "./model.ts";
import { checkWayBack } from "./way-back.ts";

export interface EngineOptions {
  /** most tokens of one sequence; the model's own where it is not given */
  readonly contextTokens?: number;
  readonly threads: number;
}

/** A prompt is fed in chunks of this many tokens: a rollback waits for one at most. */
const FEED_TOKENS = 128;
const PASS_TOKENS = 512;
/** Of a context in which a way back can be tried. */
const LEAST_TOKENS = 8;

function infoOf(model: LlamaModel, contextTokens: number): ModelInfo {
  return { name: model.file.name, vocabularySize: model.vocabularySize, contextTokens };
}

/** What moves the last bits of the logits. The batch does not: see `batchInvariant`. */
async function identityOf({ file, library, onCpu, compute }: LlamaModel): Promise<TargetIdentity> {
  const attention = attentionIdentity(compute, onCpu);
  const { quantisation, weights } = await readModelDetails(partsOf(file.path));
  return {
    weights,
    quantisation: quantisation ?? "unknown",
    library: `llama.cpp ${library.version}`,
    backend: onCpu ? "cpu" : `${gpuOf(library.build)}${placementIdentity(compute)}`,
    cpuBuild: library.cpuBuild.slice(0, MOST_IDENTITY_UNITS),
    ...(attention === undefined ? {} : { attention }),
  };
}

/** Of a platform package such as `@node-llama-cpp/linux-x64-cuda`. */
function gpuOf(build: string): string {
  return build.slice(build.lastIndexOf("-") + 1);
}

/**
 * The context is the caller's wish, but never past what the model was trained for.
 * @throws EngineError `context_too_long`
 */
function contextTokens(model: LlamaModel, options: EngineOptions): number {
  const { trainedContext, file } = model;
  const wanted = options.contextTokens ?? Math.min(trainedContext, 8192);
  if (wanted <= trainedContext) return wanted;
  const message = `${file.name} knows ${trainedContext} tokens of context, not ${wanted}; ask for fewer`;
  throw new EngineError("context_too_long", message);
}

/**
 * A GGUF file as the edge's drafter; closing it leaves the model open.
 * @example
 * import { LlamaModel, llamaDraftModel } from "picospec";
 *
 * const model = await LlamaModel.load("small.gguf");
 * const drafter = await llamaDraftModel(model, { threads: 4 });
 * console.log(drafter.info.contextTokens);
 */
export async function llamaDraftModel(model: LlamaModel, options: EngineOptions): Promise<DraftModel> {
  const tokens = contextTokens(model, options);
  const { threads } = options;
  const context = await LlamaContext.create(model, {
    sequences: 1,
    contextTokens: tokens,
    batchTokens: FEED_TOKENS,
    rows: 1,
    threads,
    // A draft is a proposal: its last bits do not matter, and long prompts are faster without.
    batchInvariant: false,
  });
  return {
    info: infoOf(model, tokens),
    feedTokens: context.options.batchTokens,
    feed(from, tokens, read, done) {
      if (context.closed) {
        queueMicrotask(() => done(closedError()));
        return;
      }
      assert(from <= context.length(0), `fed at ${from}, but the KV ends at ${context.length(0)}`);
      try {
        context.truncate(0, from);
      } catch (error) {
        queueMicrotask(() => done(engineError(error)));
        return;
      }
      const index = context.add(0, tokens, read ? 1 : 0);
      context.decode((error) => {
        if (!error && read) read(context.row(index));
        done(error);
      });
    },
    close: () => context.close(),
  };
}

export interface TargetOptions extends EngineOptions {
  /** sessions whose KV is kept at a time */
  readonly kvSlots: number;
}

/**
 * A GGUF file as the cloud's target; closing it leaves the model open.
 * @example
 * import { LlamaModel, llamaTargetModel } from "picospec";
 *
 * const model = await LlamaModel.load("large.gguf");
 * const target = await llamaTargetModel(model, { kvSlots: 8, threads: 8 });
 * console.log(target.info.contextTokens);
 */
export async function llamaTargetModel(model: LlamaModel, options: TargetOptions): Promise<PassEngine> {
  const tokens = contextTokens(model, options);
  const { kvSlots, threads } = options;
  // Rows cost V numbers each; this many are 77 MB at the largest vocabularies.
  const passRows = 128;
  const context = await LlamaContext.create(model, {
    sequences: kvSlots,
    contextTokens: tokens,
    batchTokens: PASS_TOKENS,
    rows: passRows,
    threads,
    batchInvariant: true,
  });
  if (model.recurrent && model.onCpu && tokens >= LEAST_TOKENS) {
    await checkWayBack(context, model.file.architecture).catch((error: unknown) => {
      context.close();
      throw error;
    });
  }
  const answers = new RowAnswers();
  const identity = await identityOf(model);
  return {
    info: { ...infoOf(model, tokens), identity },
    capabilities: model.recurrent ? { ...ROW_CAPABILITIES, rollback: "afterPass" } : ROW_CAPABILITIES,
    kvSlots,
    passTokens: context.options.batchTokens,
    passRows,
    pass(items, done) {
      if (context.closed) {
        queueMicrotask(() => done(closedError(), []));
        return;
      }
      let firstRows: number[];
      try {
        for (const { slot, copyFrom, from } of items) {
          if (copyFrom != null) context.copy(copyFrom, slot, from);
        }
        firstRows = items.map((item) => addItem(context, item));
      } catch (error) {
        context.abandon();
        queueMicrotask(() => done(engineError(error), []));
        return;
      }
      context.decode((error) => {
        if (error) {
          done(error, []);
          return;
        }
        let results: PassResult[];
        try {
          results = items.map((item, i) => {
            const result = answers.result(item, (row) => context.row(firstRows[i]! + row));
            return context.cutsBackAnywhere ? result : cutBack(context, item, result);
          });
        } catch (failure) {
          for (const { slot } of items) context.clear(slot);
          done(engineError(failure), []);
          return;
        }
        done(null, results);
      });
    },
    close: () => context.close(),
  };
}

function addItem(context: LlamaContext, item: PassItem): number {
  context.truncate(item.slot, item.from);
  assert(context.length(item.slot) === item.from, `the KV does not reach ${item.from}`);
  return context.add(item.slot, item.tokens, rowsOf(item));
}

/** What was not accepted goes right away: of a state, or of a window that may move meanwhile, it could not go later. */
function cutBack(context: LlamaContext, item: PassItem, result: PassResult): PassResult {
  const resident = acceptedLength(item, result.answers);
  context.truncate(item.slot, resident);
  return { ...result, resident };
}
