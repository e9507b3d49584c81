import type { DecodingPolicy } from "../../decoding/policy.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { SparseDistribution } from "../../sampling/distribution.ts";
import type { Proposal } from "../../sampling/propose.ts";
import { onlyToken, type TokenSet } from "../../sampling/sampler.ts";
import { PicoSpecError } from "../../util/errors.ts";

/**
 * What the grammar of a session says to its drafts: which tokens they may be, and which text needs no drafter, since
 * nothing else may come. Such text is a draft like any other: the target may spell it otherwise. Where it comes from
 * depends on the tokens before it alone, so it is exact under rejection coupling as well.
 */
export class GrammarGuide {
  private matcher: GrammarMatcher | null;
  private readonly promptLength: number;
  /** tokens of the forced text, of which the first goes at `plannedAt` */
  private planned: Int32Array = new Int32Array(0);
  private plannedAt = -1;
  /** the version of the sequence that the plan continues */
  private plannedFor = -1;

  constructor(matcher: GrammarMatcher, promptLength: number) {
    this.matcher = matcher;
    this.promptLength = promptLength;
  }

  get closed(): boolean {
    return this.matcher === null;
  }

  /**
   * Tokens that may be drafted behind a prefix; null: all. That is so too once the grammar costs more than it may: the
   * cloud alone sees to it then.
   */
  allowed(prefix: Int32Array): TokenSet | null {
    return this.ask((matcher) => matcher.allowed(prefix, this.promptLength, prefix.length));
  }

  /**
   * The draft behind a prefix where the grammar dictates it, or null.
   * @param version of the sequence: a plan ends with it
   */
  dictated(prefix: Int32Array, version: number, { target, coupling }: DecodingPolicy): Proposal | null {
    // Where nobody verifies drafts, other spellings of the text would get lost.
    const token = target ? this.plannedToken(prefix, version) : this.only(prefix);
    if (token < 0) return null;
    const distribution = coupling === "rejection" ? SparseDistribution.point(token) : null;
    return { source: "grammar", token, q: 1, distribution };
  }

  close(): void {
    this.matcher?.close();
    this.matcher = null;
  }

  private plannedToken(prefix: Int32Array, version: number): number {
    if (this.followsPlan(prefix, version)) return this.planned[prefix.length - this.plannedAt]!;
    const forced = this.ask((matcher) => matcher.forced(prefix, this.promptLength, prefix.length));
    if (!forced || forced.length === 0) return this.only(prefix);
    [this.planned, this.plannedAt, this.plannedFor] = [forced, prefix.length, version];
    return forced[0]!;
  }

  private only(prefix: Int32Array): number {
    const allowed = this.allowed(prefix);
    return allowed ? onlyToken(allowed) : -1;
  }

  private followsPlan(prefix: Int32Array, version: number): boolean {
    const { planned, plannedAt } = this;
    const done = prefix.length - plannedAt;
    if (version !== this.plannedFor || done < 0 || done >= planned.length) return false;
    return planned.subarray(0, done).every((token, i) => prefix[plannedAt + i] === token);
  }

  private ask<T>(question: (matcher: GrammarMatcher) => T | null): T | null {
    if (!this.matcher) return null;
    try {
      return question(this.matcher);
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      this.close();
      return null;
    }
  }
}
