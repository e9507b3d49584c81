import type { CloudUsage } from "../../decoding/session.ts";
import { assert } from "../../util/assert.ts";

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
  /** positions of the first draft of each segment in flight */
  private segments: number[] = [];

  segmentSent(firstDraft: number): void {
    this.segments.push(firstDraft);
  }

  committed(position: number, nowMs: number): void {
    this.tokens++;
    if (this.firstTokenMs < 0) this.firstTokenMs = nowMs;
    this.lastTokenMs = nowMs;
    this.judgedThrough(position);
  }

  /** Drafts from `length` on are dropped; the one there, if the cloud had it, was judged. */
  rolledBack(length: number, drafts: number, sent: boolean): void {
    this.discarded += drafts;
    if (sent) {
      this.rollbacks++;
      this.judgedThrough(length);
    }
    this.segments = [];
  }

  /** What was in flight is sent again. @param again a rejected draft is put back, and is judged again */
  resumed(again: boolean): void {
    this.resumptions++;
    this.segments = [];
    if (!again) return;
    this.rejected--;
    this.discarded--;
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
