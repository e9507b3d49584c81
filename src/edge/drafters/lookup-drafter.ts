import { SparseDistribution } from "../../sampling/distribution.ts";
import { assert } from "../../util/assert.ts";
import type { DrafterReach } from "../core/reach.ts";
import type { Drafter, DraftRequest, OpenSequences } from "./drafter.ts";
import { type LookupProposal, PromptLookup } from "./lookup.ts";

/** Fewer agreeing tokens than this are chance: of texts at hand a third or less of such drafts were right. */
const LEAST_MATCHED = 3;
/** Beside a model, which is right more often than not. */
const LEAST_MATCHED_BESIDE_MODEL = 6;

/** What the text says follows, for each sequence. */
class Lookups {
  private readonly byOwner = new Map<number, PromptLookup>();

  /** What followed an earlier occurrence of the end of the prefix, or null. */
  propose(owner: number, prefix: Int32Array): LookupProposal | null {
    let lookup = this.byOwner.get(owner);
    if (!lookup) {
      lookup = new PromptLookup();
      this.byOwner.set(owner, lookup);
    }
    for (let i = lookup.length; i < prefix.length; i++) lookup.append(prefix[i]!);
    return lookup.propose();
  }

  interrupt(owner: number, length: number): void {
    const lookup = this.byOwner.get(owner);
    if (!lookup) return;
    // The session is over.
    if (length === Number.POSITIVE_INFINITY) this.byOwner.delete(owner);
    else if (lookup.length > length) lookup.truncate(length);
  }

  /** @throws AssertionError */
  checkIntegrity(open: OpenSequences): void {
    for (const [owner, lookup] of this.byOwner) {
      const sequence = open.get(owner);
      assert(sequence, `prompt lookup keeps sequence ${owner}, which is over`);
      lookup.checkIntegrity(sequence);
    }
  }
}

/** A proposal without randomness has q = 1: exact under rejection coupling as well, where it is always made. */
function answer(request: DraftRequest, proposal: LookupProposal): void {
  const { token } = proposal;
  const distribution = request.coupling === "rejection" ? SparseDistribution.point(token) : null;
  request.done(null, { source: "lookup", token, q: 1, distribution });
}

/** Drafts without a model: for a device that has none. */
export class LookupDrafter implements Drafter {
  readonly reach: DrafterReach = {
    contextTokens: Number.POSITIVE_INFINITY,
    vocabularySize: Number.POSITIVE_INFINITY,
  };
  readonly alwaysProposes = false;
  private readonly lookups = new Lookups();
  private owners = 0;

  newOwner(): number {
    return ++this.owners;
  }

  propose(request: DraftRequest): void {
    const proposal = this.lookups.propose(request.owner, request.prefix());
    if (proposal && proposal.matched >= LEAST_MATCHED) answer(request, proposal);
    else request.done(null, null);
  }

  interrupt(owner: number, length: number): void {
    this.lookups.interrupt(owner, length);
  }

  checkIntegrity(open: OpenSequences): void {
    this.lookups.checkIntegrity(open);
  }
}

/**
 * A model and prompt lookup: whichever has the longer agreeing history proposes. The model's is what was accepted since
 * a draft was last rejected, the lookup's how many tokens agree with an earlier place. Both are known before the token
 * is drawn, so the choice does not touch the distribution.
 */
export class TwoDrafters implements Drafter {
  private readonly model: Drafter;
  private readonly lookups = new Lookups();
  /** by owner: where a draft was last rejected */
  private readonly rejectedAt = new Map<number, number>();

  constructor(model: Drafter) {
    this.model = model;
  }

  get reach(): DrafterReach {
    return this.model.reach;
  }

  get alwaysProposes(): boolean {
    return this.model.alwaysProposes;
  }

  newOwner(): number {
    return this.model.newOwner();
  }

  propose(request: DraftRequest): void {
    const prefix = request.prefix();
    const proposal = this.lookups.propose(request.owner, prefix);
    const agreeing = prefix.length - (this.rejectedAt.get(request.owner) ?? 0);
    const least = Math.max(LEAST_MATCHED_BESIDE_MODEL, agreeing);
    if (proposal && proposal.matched > least) answer(request, proposal);
    else this.model.propose(request);
  }

  interrupt(owner: number, length: number): void {
    if (length === Number.POSITIVE_INFINITY) this.rejectedAt.delete(owner);
    else this.rejectedAt.set(owner, length);
    this.lookups.interrupt(owner, length);
    this.model.interrupt(owner, length);
  }

  checkIntegrity(open: OpenSequences): void {
    for (const owner of this.rejectedAt.keys()) {
      assert(open.has(owner), `a rejection of sequence ${owner} is remembered, which is over`);
    }
    this.lookups.checkIntegrity(open);
    this.model.checkIntegrity(open);
  }
}
