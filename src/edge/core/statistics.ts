import type { CloudUsage } from "../../decoding/session.ts";
import { DRAFT_SOURCES, type DraftSource } from "../../sampling/propose.ts";
import { assert } from "../../util/assert.ts";

/** What became of the drafts of one source. */
export interface SourceCount {
  readonly drafted: number;
  readonly accepted: number;
}

/** Statistics of a session, counted on the edge. */
export class PipelineStatistics {
  startedMs = 0;
  firstTokenMs = -1;
  lastTokenMs = -1;
  /** tokens committed after the prompt */
  tokens = 0;
  /** tokens that the drafter proposed, whatever became of them */
  drafted = 0;
  /** drafts that were accepted */
  accepted = 0;
  /** drafts that were rejected */
  rejected = 0;
  /** drafts dropped because one before them was rejected, that one included */
  discarded = 0;
  /** segments of which at least the first draft was judged */
  rounds = 0;
  /** times that drafts which had been sent were dropped */
  rollbacks = 0;
  /** payload of this session's drafts and requests for witnesses, without WebSocket framing */
  uplinkBytes = 0;
  /** payload of this session's verdicts and witnesses */
  downlinkBytes = 0;
  /** times that the session went on over a new link */
  resumptions = 0;
  usage: CloudUsage | null = null;
  private readonly bySource = Object.fromEntries(
    DRAFT_SOURCES.map((source) => [source, { drafted: 0, accepted: 0 }]),
  ) as Record<DraftSource, { drafted: number; accepted: number }>;
  /** by position: the sources of drafts that are not decided, where they are not the model's */
  private readonly undecided = new Map<number, DraftSource>();
  /** positions of the first draft of each segment in flight */
  private segments: number[] = [];

  /**
   * Several answers as if they were one: counts and times add up, and the time to the first token is the mean of
   * those that had one. `usage` is null where it is of any answer.
   */
  static together(all: readonly PipelineStatistics[]): PipelineStatistics {
    const sum = (of: (one: PipelineStatistics) => number) => all.reduce((total, one) => total + of(one), 0);
    const spoke = all.filter(({ firstTokenMs }) => firstTokenMs >= 0);
    const firstMs = spoke.reduce((total, one) => total + one.firstTokenMs - one.startedMs, 0);
    const usages = all.map(({ usage }) => usage);
    const whole = Object.assign(new PipelineStatistics(), {
      firstTokenMs: spoke.length > 0 ? firstMs / spoke.length : -1,
      lastTokenMs: sum((one) => Math.max(0, one.lastTokenMs - one.startedMs)),
      tokens: sum((one) => one.tokens),
      drafted: sum((one) => one.drafted),
      accepted: sum((one) => one.accepted),
      rejected: sum((one) => one.rejected),
      discarded: sum((one) => one.discarded),
      rounds: sum((one) => one.rounds),
      rollbacks: sum((one) => one.rollbacks),
      uplinkBytes: sum((one) => one.uplinkBytes),
      downlinkBytes: sum((one) => one.downlinkBytes),
      resumptions: sum((one) => one.resumptions),
      usage: usages.every((usage) => usage !== null) ? usages.reduce(bothUsages, null) : null,
    });
    for (const source of DRAFT_SOURCES) {
      whole.bySource[source].drafted = sum((one) => one.bySource[source].drafted);
      whole.bySource[source].accepted = sum((one) => one.bySource[source].accepted);
    }
    return whole;
  }

  /** Drafts by what made them: their sum is `drafted`, and `accepted`. */
  get sources(): Readonly<Record<DraftSource, SourceCount>> {
    return this.bySource;
  }

  draftedAt(position: number, source: DraftSource): void {
    this.drafted++;
    this.bySource[source].drafted++;
    if (source !== "model") this.undecided.set(position, source);
  }

  /** A draft that the cloud was sent is decided. */
  judgedAt(position: number, accepted: boolean): void {
    if (!accepted) {
      this.rejected++;
      return;
    }
    this.accepted++;
    this.bySource[this.undecided.get(position) ?? "model"].accepted++;
  }

  /** What made the draft at a position that is not decided. */
  sourceAt(position: number): DraftSource {
    return this.undecided.get(position) ?? "model";
  }

  segmentSent(firstDraft: number): void {
    this.segments.push(firstDraft);
  }

  committed(position: number, nowMs: number): void {
    this.tokens++;
    if (this.firstTokenMs < 0) this.firstTokenMs = nowMs;
    this.lastTokenMs = nowMs;
    this.undecided.delete(position);
    this.judgedThrough(position);
  }

  /** Drafts from `length` on are dropped; the one there, if the cloud had it, was judged. */
  rolledBack(length: number, drafts: number, sent: boolean): void {
    this.discarded += drafts;
    for (let position = length; position < length + drafts; position++) this.undecided.delete(position);
    if (sent) {
      this.rollbacks++;
      this.judgedThrough(length);
    }
    this.segments = [];
  }

  /** What was in flight is sent again over a new link. */
  resumed(): void {
    this.resumptions++;
    this.segments = [];
  }

  /** A rejected draft is put back, and is judged again. */
  putBack(position: number, source: DraftSource): void {
    this.rejected--;
    this.discarded--;
    if (source !== "model") this.undecided.set(position, source);
  }

  /**
   * @param committed length of the committed sequence, prompt included
   * @throws AssertionError
   */
  checkIntegrity(committed: number, promptLength: number, windowTokens: number): void {
    const { tokens, drafted, accepted, rejected, discarded, segments } = this;
    assert(
      tokens === committed - promptLength,
      `${tokens} tokens are counted, and ${committed - promptLength} are there`,
    );
    assert(accepted >= 0 && rejected >= 0 && accepted + rejected <= drafted, "more drafts judged than made");
    assert(discarded <= drafted, "more drafts discarded than made");
    const counts = Object.values(this.bySource);
    const sum = (of: (count: SourceCount) => number) => counts.reduce((total, count) => total + of(count), 0);
    assert(sum((count) => count.drafted) === drafted, "the drafts of all sources are not all drafts");
    assert(sum((count) => count.accepted) === accepted, "more drafts accepted than of all sources");
    assert(this.undecided.size <= windowTokens, `${this.undecided.size} drafts have a source`);
    assert(
      segments.length <= windowTokens,
      `${segments.length} segments in flight for ${windowTokens} drafts`,
    );
    for (const [i, first] of segments.entries()) {
      assert(first >= (segments[i - 1] ?? committed), `a segment in flight begins at ${first}, out of order`);
    }
  }

  private judgedThrough(position: number): void {
    while (this.segments.length > 0 && this.segments[0]! <= position) {
      this.segments.shift();
      this.rounds++;
    }
  }
}

function bothUsages(a: CloudUsage | null, b: CloudUsage): CloudUsage {
  if (!a) return b;
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    committedTokens: a.committedTokens + b.committedTokens,
    targetPasses: a.targetPasses + b.targetPasses,
    targetRows: a.targetRows + b.targetRows,
    targetMs: a.targetMs + b.targetMs,
    prefillPasses: a.prefillPasses + b.prefillPasses,
    fedTokens: a.fedTokens + b.fedTokens,
    evictions: a.evictions + b.evictions,
    reusedTokens: a.reusedTokens + b.reusedTokens,
  };
}
