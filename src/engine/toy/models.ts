import { Purpose, type Seed, uniform } from "../../sampling/random.ts";
import { assert } from "../../util/assert.ts";
import type { Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import type { DraftModel, EngineError, ModelInfo, PassItem, PassResult, TargetModel } from "../engine.ts";
import { rowsOf } from "../engine.ts";
import { RowAnswers } from "../rows.ts";

/**
 * Seeded n-gram models whose distribution a test can enumerate. Their KV really holds tokens, and logits come
 * from what it holds: a rollback that went wrong shows in the text.
 */

export interface ToyLanguage {
  readonly seed: Seed;
  readonly vocabularySize: number;
  /** how many tokens back the next one depends on; Infinity: on all of them */
  readonly order: number;
  /** how far logits lie apart: 0 is uniform */
  readonly spread: number;
  /** how far the drafter's logits lie from the target's: 0 is the same model */
  readonly divergence: number;
  readonly contextTokens: number;
}

/**
 * Logits after a prefix, Float32Array[V].
 * @example
 * import { toyLogits, toSeed } from "picospec";
 *
 * const language = { seed: toSeed(1), vocabularySize: 64, order: 3, spread: 6, divergence: 2, contextTokens: 500 };
 * console.log(toyLogits(language, [1, 2, 3], "target").length);
 */
export function toyLogits(
  language: ToyLanguage,
  prefix: ArrayLike<number>,
  role: "target" | "drafter",
): Float32Array {
  let state = 0x811c9dc5;
  const start = Math.max(0, prefix.length - language.order);
  for (let i = start; i < prefix.length; i++) state = Math.imul(state ^ (prefix[i]! + 1), 0x01000193) >>> 0;
  const noise = (stream: number, token: number) =>
    uniform(language.seed, Purpose.draft, state, stream, token) - 0.5;
  return Float32Array.from({ length: language.vocabularySize }, (_, token) => {
    const shared = language.spread * noise(0, token);
    return role === "target" ? shared : shared + language.divergence * noise(1, token);
  });
}

function infoOf(language: ToyLanguage): ModelInfo {
  const { vocabularySize, contextTokens } = language;
  return { name: "toy", vocabularySize, contextTokens };
}

/** Rolls a sequence back to `from` and appends. */
function append(kv: TokenBuffer, from: number, tokens: Int32Array, contextTokens: number): void {
  assert(from <= kv.length, `fed at ${from}, but the KV ends at ${kv.length}`);
  assert(from + tokens.length <= contextTokens, "fed past the context");
  kv.truncate(from);
  for (const token of tokens) kv.push(token);
}

export class ToyDraftModel implements DraftModel {
  readonly info: ModelInfo;
  readonly feedTokens: number;
  private readonly language: ToyLanguage;
  private readonly clock: Clock;
  private readonly kv = new TokenBuffer();
  private busy = false;

  constructor(language: ToyLanguage, clock: Clock, feedTokens = 64) {
    this.language = language;
    this.clock = clock;
    this.info = infoOf(language);
    this.feedTokens = feedTokens;
  }

  feed(
    from: number,
    tokens: Int32Array,
    read: ((logits: Float32Array) => void) | null,
    done: (error: EngineError | null) => void,
  ): void {
    assert(!this.busy, "one feed at a time");
    assert(tokens.length > 0 && tokens.length <= this.feedTokens, `cannot feed ${tokens.length} tokens`);
    this.busy = true;
    append(this.kv, from, tokens, this.language.contextTokens);
    this.clock.schedule(this.clock.nowMs(), () => {
      this.busy = false;
      read?.(toyLogits(this.language, this.kv.view(), "drafter"));
      done(null);
    });
  }

  close(): void {}
}

export interface ToyTargetOptions {
  readonly sequences: number;
  readonly passTokens?: number;
  readonly passRows?: number;
}

export class ToyTargetModel implements TargetModel {
  readonly info: ModelInfo;
  readonly sequences: number;
  readonly passTokens: number;
  readonly passRows: number;
  private readonly language: ToyLanguage;
  private readonly clock: Clock;
  private readonly kv: TokenBuffer[];
  private readonly rows = new RowAnswers();
  private busy = false;

  constructor(language: ToyLanguage, clock: Clock, options: ToyTargetOptions) {
    this.language = language;
    this.clock = clock;
    this.info = infoOf(language);
    this.sequences = options.sequences;
    this.passTokens = options.passTokens ?? 256;
    this.passRows = options.passRows ?? 64;
    this.kv = Array.from({ length: options.sequences }, () => new TokenBuffer());
  }

  pass(items: readonly PassItem[], done: (error: EngineError | null, results: PassResult[]) => void): void {
    assert(!this.busy, "one pass at a time");
    const total = items.reduce((sum, item) => sum + item.tokens.length, 0);
    const rows = items.reduce((sum, item) => sum + rowsOf(item), 0);
    assert(total > 0 && total <= this.passTokens, `a pass of ${total} tokens`);
    assert(rows <= this.passRows, `a pass of ${rows} rows`);
    assert(new Set(items.map((item) => item.sequence)).size === items.length, "a sequence twice in a pass");
    this.busy = true;
    for (const { sequence, copyFrom, from } of items)
      if (copyFrom != null) this.copy(copyFrom, sequence, from);
    const results = items.map((item) => this.item(item));
    this.clock.schedule(this.clock.nowMs(), () => {
      this.busy = false;
      done(null, results);
    });
  }

  close(): void {}

  private copy(source: number, target: number, length: number): void {
    const [donor, kv] = [this.kv[source]!, this.kv[target]!];
    assert(length <= donor.length, `a copy of ${length} tokens, and there are ${donor.length}`);
    kv.truncate(0);
    for (const token of donor.view(0, length)) kv.push(token);
  }

  private item(item: PassItem): PassResult {
    const kv = this.kv[item.sequence];
    assert(kv !== undefined, `there is no sequence ${item.sequence}`);
    assert(rowsOf(item) <= item.tokens.length, "more rows than tokens");
    append(kv, item.from, item.tokens, this.language.contextTokens);
    const firstRow = kv.length - rowsOf(item) + 1;
    return this.rows.result(item, (index) =>
      toyLogits(this.language, kv.view(0, firstRow + index), "target"),
    );
  }
}
