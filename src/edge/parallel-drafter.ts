import type { DraftModel, EngineError } from "../engine/engine.ts";
import { propose } from "../sampling/propose.ts";
import { SpeculativeKvCache } from "./speculative-kv-cache.ts";

/** One draft to make. */
export interface DraftRequest {
  /** whose sequence it continues */
  readonly owner: number;
  /** the tokens before the draft, Int32Array[n]: read when its turn comes */
  readonly prefix: () => Int32Array;
  /** the drafter's logits after the prefix, Float32Array[V], valid inside the call only */
  readonly read: (logits: Float32Array) => void;
  /** after `read`, once the model is free again; not called for a draft that was interrupted */
  readonly done: (error: EngineError | null) => void;
}

/**
 * Makes drafts one after the other on the one drafter of the device, while earlier ones are on their way. An
 * interrupt takes effect at once for a draft that waits, between two feeds of a long prompt, and otherwise when
 * the step that runs is over: its result is dropped.
 */
export class ParallelDrafter {
  readonly model: DraftModel;
  readonly choose: typeof propose;
  private readonly cache = new SpeculativeKvCache();
  /** at most one an owner */
  private readonly waiting: DraftRequest[] = [];
  private current: DraftRequest | null = null;
  private busy = false;
  private owners = 0;

  /** @param choose makes the draft of a row; a simulation decides without one */
  constructor(model: DraftModel, choose: typeof propose = propose) {
    this.model = model;
    this.choose = choose;
  }

  /** A name for a sequence that drafts will be asked for. */
  newOwner(): number {
    return ++this.owners;
  }

  /** Queues a draft; the owner has no other waiting. */
  propose(request: DraftRequest): void {
    this.waiting.push(request);
    this.next();
  }

  /** The sequence is void from `length` on, and a draft of it that is made or waits is no longer wanted. */
  interrupt(owner: number, length: number): void {
    const index = this.waiting.findIndex((request) => request.owner === owner);
    if (index >= 0) this.waiting.splice(index, 1);
    if (this.current?.owner === owner) this.current = null;
    this.cache.rollback(owner, length);
  }

  private next(): void {
    if (this.busy) return;
    this.current ??= this.waiting.shift() ?? null;
    if (this.current) this.feed(this.current);
  }

  /** One feed of the prompt, or the last one, which gives the row. */
  private feed(request: DraftRequest): void {
    const prefix = request.prefix();
    const from = this.cache.missingFrom(request.owner, prefix);
    const to = Math.min(prefix.length, from + this.model.feedTokens);
    const tokens = prefix.slice(from, to);
    const last = to === prefix.length;
    // Held from here on: should a rollback come meanwhile it truncates this too.
    this.cache.fed(from, tokens);
    this.busy = true;
    const wanted = () => this.current === request;
    const read = (logits: Float32Array) => {
      if (wanted()) request.read(logits);
    };
    this.model.feed(from, tokens, last ? read : null, (error) => {
      this.busy = false;
      if (error) this.cache.clear();
      const finished = wanted() && (last || error !== null);
      if (finished) {
        this.current = null;
        request.done(error);
      }
      this.next();
    });
  }
}
