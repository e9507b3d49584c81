import { assert } from "../../util/assert.ts";

/**
 * How much of the target each principal has had, so that the one that had least comes first: the virtual token counter
 * of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024), with weights. A counter grows by the tokens
 * served over the weight. A principal that comes, or comes back, starts no lower than the lowest of those that are
 * there: time spent away earns nothing.
 */

/** What a principal may lag behind the one served most, tokens over weight: credit that a quiet one can save up. */
const MOST_CREDIT = 4096;
/** A principal whose last session has ended still counts as present for so long: its next question is likely near. */
const LINGER_MS = 10_000;
const MOST_LINGERING = 256;
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
  /** when its last session ended; Infinity: it has one */
  leftMs: number;
}

export class FairShares {
  private readonly present = new Map<string, Account>();
  private readonly absent = new Map<string, number>();
  private sessions = 0;
  /** the largest counter that there was */
  private top = 0;

  /** One more session of the principal is open. @param weight 1 or more */
  enter(principal: string, weight: number): void {
    const account = this.present.get(principal);
    this.sessions++;
    if (account) {
      account.weight = weight;
      account.sessions++;
      account.leftMs = Number.POSITIVE_INFINITY;
      return;
    }
    const before = this.absent.get(principal) ?? 0;
    const lowest = this.lowest();
    const served = Number.isFinite(lowest) ? Math.max(before, lowest) : before;
    this.absent.delete(principal);
    this.present.set(principal, { weight, served, sessions: 1, leftMs: Number.POSITIVE_INFINITY });
  }

  /** One session less. */
  leave(principal: string, nowMs: number): void {
    const account = this.present.get(principal);
    assert(account && account.sessions > 0, `${principal} has no session to end`);
    if (--account.sessions === 0) {
      account.leftMs = nowMs;
      // In the order in which they left.
      this.present.delete(principal);
      this.present.set(principal, account);
    }
    if (--this.sessions > 0) return;
    // Nobody is there to be fair to.
    this.present.clear();
    this.absent.clear();
    this.top = 0;
  }

  /** Those that have been away for long are present no more. */
  private forget(nowMs: number): void {
    let lingering = 0;
    for (const { sessions } of this.present.values()) if (sessions === 0) lingering++;
    for (const [principal, account] of this.present) {
      const lingers = nowMs < account.leftMs + LINGER_MS && lingering <= MOST_LINGERING;
      if (account.sessions > 0 || lingers) continue;
      lingering--;
      this.present.delete(principal);
      this.absent.set(principal, this.counter(account));
    }
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

  /** Every principal with an open session, or that had one a moment ago. */
  shares(nowMs: number): ReadonlyMap<string, Share> {
    this.forget(nowMs);
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
    let sessions = 0;
    for (const [principal, account] of this.present) {
      sessions += account.sessions;
      assert(!this.absent.has(principal), `${principal} is here and away`);
      assert(account.sessions === 0 || account.leftMs === Number.POSITIVE_INFINITY, `${principal} has left`);
    }
    assert(sessions === this.sessions, `${sessions} of ${this.sessions} sessions are known`);
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
