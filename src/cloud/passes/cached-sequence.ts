import { assert } from "../../util/assert.ts";
import { DraftedSequence } from "../core/sequence.ts";

/** A session's tokens of which the target's KV holds the first ones, [0, cached). */
export class CachedSequence extends DraftedSequence {
  /** the KV can be cut back to any position */
  cutsBack = true;
  private kept = 0;

  get cached(): number {
    return this.kept;
  }

  /** A pass has fed these tokens; drafts may have been replaced meanwhile. @param resident what the KV holds of them */
  fed(from: number, tokens: Int32Array, resident: number): void {
    const most = Math.min(tokens.length, this.length - from, resident - from);
    let agreeing = 0;
    while (agreeing < most && tokens[agreeing] === this.at(from + agreeing)) agreeing++;
    // Less than was there before the pass: the engine could not keep even that.
    this.kept = resident < from ? resident : from + agreeing;
    if (!this.cutsBack && this.kept < resident) this.kept = 0;
  }

  /** The KV holds so many of the first tokens: others had computed them, or they are lost. */
  holds(tokens: number): void {
    this.kept = tokens;
  }

  override checkIntegrity(): void {
    super.checkIntegrity();
    assert(this.kept <= this.length, `the KV is believed to hold ${this.kept} of ${this.length} tokens`);
  }

  protected override dropPending(): void {
    super.dropPending();
    if (this.kept > this.committed) this.kept = this.cutsBack ? this.committed : 0;
  }
}
