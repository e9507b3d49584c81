import { type DraftModel, EngineError } from "../../engine/engine.ts";
import { type Proposal, propose } from "../../sampling/propose.ts";
import { historyTokens, inTokenSet, type TokenSet } from "../../sampling/sampler.ts";
import { assert } from "../../util/assert.ts";
import { PicoSpecError } from "../../util/errors.ts";
import type { DrafterReach } from "../core/reach.ts";
import type { Drafter, DraftRequest, OpenSequences } from "./drafter.ts";
import { SpeculativeKvCache } from "./speculative-kv-cache.ts";

export interface DrafterView {
  /** owner of the draft that is being made */
  readonly drafting: number | null;
  /** the model works, also for a draft that is no longer wanted */
  readonly feeding: boolean;
  /** the tokens, and whose they are */
  readonly held: { readonly owner: number; readonly tokens: Int32Array };
}

const NONE = new Int32Array(0);

/**
 * What the drafter's row says of tokens that the target has as well: q is what is drawn from, so the others are gone
 * before anything is drawn. Where a grammar leaves none of them the row says nothing, and any that it allows is as good.
 */
class SharedRow {
  /** for the rows of all drafts: V numbers for each of them would keep the collector busy */
  private scratch = new Float32Array(0);

  /** @returns valid until the next call, where ids are barred; Float32Array[n], n at most the target's V */
  of(
    logits: Float32Array,
    vocabularySize: number,
    barred: Int32Array,
    allowed: TokenSet | null,
  ): Float32Array {
    // What a drafter has past the target's vocabulary is padding.
    const shared = logits.length > vocabularySize ? logits.subarray(0, vocabularySize) : logits;
    if (barred.length === 0) return shared;
    if (this.scratch.length < shared.length) this.scratch = new Float32Array(shared.length);
    const row = this.scratch.subarray(0, shared.length);
    row.set(shared);
    for (const id of barred) if (id < row.length) row[id] = Number.NEGATIVE_INFINITY;
    if (allowed && !row.some((logit, id) => logit > Number.NEGATIVE_INFINITY && inTokenSet(allowed, id))) {
      row.fill(0);
    }
    return row;
  }
}

/**
 * Makes drafts one after the other on the one drafter of the device, while earlier ones are on their way. An
 * interrupt takes effect at once for a draft that waits, between two feeds of a long prompt, and otherwise when
 * the step that runs is over: its result is dropped.
 *
 * It calls back and is no machine with effects: a row of logits is only valid within the model's callback, so that the
 * draft has to be chosen there and then.
 */
export class ParallelDrafter implements Drafter {
  readonly alwaysProposes = true;
  readonly model: DraftModel;
  readonly choose: typeof propose;
  private readonly cache = new SpeculativeKvCache();
  private readonly shared = new SharedRow();
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

  get reach(): DrafterReach {
    return this.model.info;
  }

  newOwner(): number {
    return ++this.owners;
  }

  propose(request: DraftRequest): void {
    this.waiting.push(request);
    this.next();
  }

  interrupt(owner: number, length: number): void {
    const index = this.waiting.findIndex((request) => request.owner === owner);
    if (index >= 0) this.waiting.splice(index, 1);
    if (this.current?.owner === owner) this.current = null;
    this.cache.rollback(owner, length);
  }

  /** What is under way, and what the model's KV is believed to hold: for who compares. */
  view(): DrafterView {
    return { drafting: this.current?.owner ?? null, feeding: this.busy, held: this.cache.view() };
  }

  checkIntegrity(open: OpenSequences): void {
    const { waiting, current, busy } = this;
    const owners = [...waiting, ...(current ? [current] : [])].map(({ owner }) => owner);
    for (const owner of owners)
      assert(open.has(owner), `a draft is wanted for sequence ${owner}, which is over`);
    assert(new Set(owners).size === owners.length, "a sequence has two drafts waiting");
    assert(busy || owners.length === 0, "drafts wait, and none is being made");
    this.cache.checkIntegrity(open.get(this.cache.view().owner) ?? null);
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
    let made: Proposal | PicoSpecError | null = null;
    const read = (logits: Float32Array) => {
      if (wanted()) made = this.draftFrom(logits, prefix, request);
    };
    this.model.feed(from, tokens, last ? read : null, (error) => {
      this.busy = false;
      if (error) this.cache.clear();
      const finished = wanted() && (last || error !== null);
      if (finished) {
        this.current = null;
        const result = made ?? new EngineError("no_row", "the drafter gave no row");
        if (error) request.done(error, null);
        else if (result instanceof PicoSpecError) request.done(result, null);
        else request.done(null, result);
      }
      this.next();
    });
  }

  private draftFrom(
    logits: Float32Array,
    prefix: Int32Array,
    request: DraftRequest,
  ): Proposal | PicoSpecError {
    const { sampler, coupling, seed, lineage, vocabularySize } = request;
    const position = prefix.length;
    const history = prefix.subarray(Math.max(0, position - historyTokens(sampler)));
    try {
      const allowed = request.allowed?.(prefix) ?? null;
      const row = this.shared.of(logits, vocabularySize, request.barred ?? NONE, allowed);
      return this.choose(row, sampler, history, coupling, seed, position, lineage, allowed);
    } catch (error) {
      if (error instanceof PicoSpecError) return error;
      throw error;
    }
  }
}
