import { assert } from "../../util/assert.ts";
import type { Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import { type Capabilities, ROW_CAPABILITIES } from "../capabilities.ts";
import {
  acceptedLength,
  type EngineError,
  type ModelInfo,
  type PassEngine,
  type PassItem,
  type PassResult,
  rowsOf,
} from "../engine.ts";
import { RowAnswers } from "../rows.ts";
import { append, type ToyLanguage, toyIdentity, toyInfo, toyLogits } from "./language.ts";

export interface ToyPassOptions {
  readonly kvSlots: number;
  readonly passTokens?: number;
  readonly passRows?: number;
  /** default `anywhere`; `afterPass` behaves as recurrent models do */
  readonly rollback?: Capabilities["rollback"];
}

export class ToyPassEngine implements PassEngine {
  readonly info: ModelInfo;
  readonly capabilities: Capabilities;
  readonly kvSlots: number;
  readonly passTokens: number;
  readonly passRows: number;
  private readonly language: ToyLanguage;
  private readonly clock: Clock;
  private readonly kv: TokenBuffer[];
  private readonly rows = new RowAnswers();
  private busy = false;

  constructor(language: ToyLanguage, clock: Clock, options: ToyPassOptions) {
    this.language = language;
    this.clock = clock;
    this.info = { ...toyInfo(language), identity: toyIdentity(language) };
    this.capabilities = { ...ROW_CAPABILITIES, rollback: options.rollback ?? "anywhere" };
    this.kvSlots = options.kvSlots;
    this.passTokens = options.passTokens ?? 256;
    this.passRows = options.passRows ?? 64;
    this.kv = Array.from({ length: options.kvSlots }, () => new TokenBuffer());
  }

  pass(items: readonly PassItem[], done: (error: EngineError | null, results: PassResult[]) => void): void {
    assert(!this.busy, "one pass at a time");
    const total = items.reduce((sum, item) => sum + item.tokens.length, 0);
    const rows = items.reduce((sum, item) => sum + rowsOf(item), 0);
    assert(total > 0 && total <= this.passTokens, `a pass of ${total} tokens`);
    assert(rows <= this.passRows, `a pass of ${rows} rows`);
    assert(new Set(items.map((item) => item.slot)).size === items.length, "a slot twice in a pass");
    this.busy = true;
    for (const { slot, copyFrom, from } of items) if (copyFrom != null) this.copy(copyFrom, slot, from);
    const results = items.map((item) => this.item(item));
    this.clock.schedule(this.clock.nowMs(), () => {
      this.busy = false;
      done(null, results);
    });
  }

  close(): void {}

  /** The tokens whose KV a slot holds, Int32Array[n]; valid until the next pass. */
  held(slot: number): Int32Array {
    return this.kv[slot]!.view();
  }

  /** Its memory fails: the slot is empty. */
  lose(slot: number): void {
    this.kv[slot]!.truncate(0);
  }

  private copy(source: number, target: number, length: number): void {
    const [donor, kv] = [this.kv[source]!, this.kv[target]!];
    const copies = this.capabilities.rollback === "anywhere" || length === donor.length;
    assert(copies, `a copy of ${length} tokens of a state at ${donor.length}`);
    assert(length <= donor.length, `a copy of ${length} tokens, and there are ${donor.length}`);
    kv.truncate(0);
    for (const token of donor.view(0, length)) kv.push(token);
  }

  private item(item: PassItem): PassResult {
    const kv = this.kv[item.slot];
    assert(kv !== undefined, `there is no slot ${item.slot}`);
    assert(rowsOf(item) <= item.tokens.length, "more rows than tokens");
    const cutsBack = this.capabilities.rollback === "anywhere" || item.from === 0;
    assert(cutsBack || item.from === kv.length, `cut back to ${item.from}, and the state is at ${kv.length}`);
    append(kv, item.from, item.tokens, this.language.contextTokens);
    const firstRow = kv.length - rowsOf(item) + 1;
    const result = this.rows.result(item, (index) =>
      toyLogits(this.language, kv.view(0, firstRow + index), "target"),
    );
    if (this.capabilities.rollback === "anywhere") return result;
    kv.truncate(acceptedLength(item, result.answers));
    return { ...result, resident: kv.length };
  }
}
