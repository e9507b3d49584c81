import { assert } from "../../util/assert.ts";
import type { Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import type { DraftModel, EngineError, ModelInfo } from "../engine.ts";
import { append, type ToyLanguage, toyInfo, toyLogits } from "./language.ts";

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
    this.info = toyInfo(language);
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

  /** What the KV holds, Int32Array[n]; valid until the next feed. */
  held(): Int32Array {
    return this.kv.view();
  }

  /** Empties the KV, as a failed feed may. */
  lose(): void {
    this.kv.truncate(0);
  }
}
