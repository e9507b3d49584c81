import { assert } from "../../util/assert.ts";

/**
 * How much of the target each principal has had, so that the one that had least comes first: the virtual token counter
 * of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with weights. A counter grows by the tokens
 * served over the weight. A principal that comes, or comes back, starts no lower than the lowest of those that are
 * there: time spent away earns nothing.
 */

/** What a principal may lag behind the one served most, tokens over weight: credit that a quiet one can save up. */
const MOST_CREDIT = 4096;
/** Principals that went away with a counter above the others': kept, so that leaving does not clear it. */
const MOST_ABSENT = 1024;

/** A principal's part in what is shared, as a plain value. */
export interface Share {
  readonly weight: number;
  /** tokens served over the weight; only differences mean anything */
  readonly served: number;
}

export const EQUAL_SHARE: Share = { weight: 1, served: 0 };

interface Account {
  weight: number;
  served: number;
  sessions: number;
}

export class FairShares {
  private readonly present = new Map<string, Account>();
  private readonly absent = new Map<string, number>();
  /** the largest counter that there was */
  private top = 0;

  /** One more session of the principal is open. @param weight 1 or more */
  enter(principal: string, weight: number): void {
    const account = this.present.get(principal);
    if (account) {
      account.weight = weight;
      account.sessions++;
      return;
    }
    const before = this.absent.get(principal) ?? 0;
    const lowest = this.lowest();
    const served = Number.isFinite(lowest) ? Math.max(before, lowest) : before;
    this.absent.delete(principal);
    this.present.set(principal, { weight, served, sessions: 1 });
  }

  /** One session less. */
  leave(principal: string): void {
    const account = this.present.get(principal);
    assert(account, `${principal} has no session to end`);
    if (--account.sessions > 0) return;
    this.present.delete(principal);
    if (this.present.size === 0) {
      this.absent.clear();
      this.top = 0;
      return;
    }
    this.absent.set(principal, this.counter(account));
    const lowest = this.lowest();
    for (const [name, served] of this.absent) if (served <= lowest) this.absent.delete(name);
    // Those that went first have the least left to make up for.
    for (const name of this.absent.keys()) {
      if (this.absent.size <= MOST_ABSENT) break;
      this.absent.delete(name);
    }
  }

  charge(principal: string, tokens: number): void {
    const account = this.present.get(principal);
    if (!account) return; // its last session ended while its pass was under way
    account.served = this.counter(account) + tokens / account.weight;
    this.top = Math.max(this.top, account.served);
  }

  /** Every principal with an open session. */
  shares(): ReadonlyMap<string, Share> {
    const shares = new Map<string, Share>();
    for (const [principal, account] of this.present) {
      shares.set(principal, { weight: account.weight, served: this.counter(account) });
    }
    return shares;
  }

  /** @throws AssertionError */
  checkIntegrity(atRest: boolean): void {
    assert(this.absent.size <= MOST_ABSENT, `${this.absent.size} principals are remembered`);
    const left = this.present.size + this.absent.size;
    assert(!atRest || left === 0, `${left} principals are kept for no session`);
    for (const [principal, { sessions }] of this.present) {
      assert(sessions > 0 && !this.absent.has(principal), `${principal} is here without a session`);
    }
  }

  private counter({ served }: Account): number {
    return Math.max(served, this.top - MOST_CREDIT);
  }

  /** Infinity: no principal is present */
  private lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const account of this.present.values()) lowest = Math.min(lowest, this.counter(account));
    return lowest;
  }
}
