import { assert } from "../../util/assert.ts";
import { messageOf, PicoSpecError } from "../../util/errors.ts";
import {
  type DraftModel,
  EngineError,
  type ModelInfo,
  type PassItem,
  type PassResult,
  rowsOf,
  type TargetModel,
} from "../engine.ts";
import { RowAnswers } from "../rows.ts";
import { closedError, LlamaContext } from "./context.ts";
import type { LlamaModel } from "./model.ts";

export interface EngineOptions {
  /** most tokens of one sequence; the model's own where it is not given */
  readonly contextTokens?: number;
  readonly threads: number;
}

/** A prompt is fed in chunks of this many tokens: a rollback waits for one at most. */
const FEED_TOKENS = 128;
const PASS_TOKENS = 512;

function infoOf(model: LlamaModel, contextTokens: number): ModelInfo {
  return { name: model.file.name, vocabularySize: model.vocabularySize, contextTokens };
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
  /** KV sequences: sessions that are decoded without rebuilding */
  readonly sequences: number;
}

/**
 * A GGUF file as the cloud's target; closing it leaves the model open.
 * @example
 * import { LlamaModel, llamaTargetModel } from "picospec";
 *
 * const model = await LlamaModel.load("large.gguf");
 * const target = await llamaTargetModel(model, { sequences: 8, threads: 8 });
 * console.log(target.info.contextTokens);
 */
export async function llamaTargetModel(model: LlamaModel, options: TargetOptions): Promise<TargetModel> {
  const tokens = contextTokens(model, options);
  const { sequences, threads } = options;
  // Rows cost V numbers each; this many are 77 MB at the largest vocabularies.
  const passRows = 128;
  const context = await LlamaContext.create(model, {
    sequences,
    contextTokens: tokens,
    batchTokens: PASS_TOKENS,
    rows: passRows,
    threads,
    batchInvariant: true,
  });
  const answers = new RowAnswers();
  return {
    info: infoOf(model, tokens),
    sequences,
    passTokens: context.options.batchTokens,
    passRows,
    pass(items, done) {
      if (context.closed) {
        queueMicrotask(() => done(closedError(), []));
        return;
      }
      let firstRows: number[];
      try {
        for (const { sequence, copyFrom, from } of items) {
          if (copyFrom != null) context.copy(copyFrom, sequence, from);
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
          results = items.map((item, i) => answers.result(item, (row) => context.row(firstRows[i]! + row)));
        } catch (failure) {
          for (const { sequence } of items) context.clear(sequence);
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
  context.truncate(item.sequence, item.from);
  assert(context.length(item.sequence) === item.from, `the KV does not reach ${item.from}`);
  return context.add(item.sequence, item.tokens, rowsOf(item));
}

/** Bugs of ours go on as what they are. */
function engineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (error instanceof PicoSpecError) return new EngineError(error.code, error.message, { cause: error });
  throw error instanceof Error ? error : new Error(messageOf(error));
}
