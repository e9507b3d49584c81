import type { DecodingPolicy } from "../../decoding/policy.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { SparseDistribution } from "../../sampling/distribution.ts";
import type { Proposal } from "../../sampling/propose.ts";
import { onlyToken, type TokenSet } from "../../sampling/sampler.ts";
import { PicoSpecError } from "../../util/errors.ts";
import { SpelledRuns } from "./spelled-runs.ts";

/**
 * What the grammar of a session says to its drafts: which tokens they may be, and which text needs no drafter, since
 * nothing else may come. Such text is a draft like any other: the target may spell it otherwise. Where it comes from
 * depends on the tokens before it alone, so it is exact under rejection coupling as well.
 */
export class GrammarGuide {
  private matcher: GrammarMatcher | null;
  private readonly promptLength: number;
  private readonly policy: DecodingPolicy;
  private readonly runs = new SpelledRuns();

  constructor(matcher: GrammarMatcher, promptLength: number, policy: DecodingPolicy) {
    this.policy = policy;
    this.matcher = matcher;
    this.promptLength = promptLength;
  }

  get closed(): boolean {
    return this.matcher === null;
  }

  /**
   * Tokens that may be drafted behind a prefix; null: all. That is so too once the grammar costs more than it may: the
   * cloud alone sees to it then.
   * @throws PicoSpecError `grammar_limit` where there is no cloud
   */
  allowed(prefix: Int32Array): TokenSet | null {
    return this.ask((matcher) => matcher.allowed(prefix, this.promptLength, prefix.length));
  }

  /** The draft behind a prefix where the grammar dictates it, or null. @throws PicoSpecError as `allowed` */
  dictated(prefix: Int32Array): Proposal | null {
    const { target, coupling } = this.policy;
    if (!this.matcher?.dictates) return null;
    // Where nobody verifies drafts, other spellings of the text would get lost.
    const spelled = target ? this.spelled(prefix) : -1;
    const token = spelled >= 0 ? spelled : this.only(prefix);
    if (token < 0) return null;
    const distribution = coupling === "rejection" ? SparseDistribution.point(token) : null;
    return { source: "grammar", token, q: 1, distribution };
  }

  /** Tokens at `length` and past it are void. */
  rollback(length: number): void {
    this.runs.rollback(length);
  }

  close(): void {
    this.matcher?.close();
    this.matcher = null;
  }

  /** The next token of forced text, where such drafts have been right; -1: there is none. */
  private spelled(prefix: Int32Array): number {
    if (this.runs.next(prefix) < 0) {
      const forced = this.ask((matcher) => matcher.forced(prefix, this.promptLength, prefix.length));
      if (forced && forced.length > 0) this.runs.begin(prefix, forced);
    }
    const token = this.runs.next(prefix);
    return token >= 0 && this.runs.worthDrafts(prefix) ? token : -1;
  }

  private only(prefix: Int32Array): number {
    const allowed = this.allowed(prefix);
    return allowed ? onlyToken(allowed) : -1;
  }

  private ask<T>(question: (matcher: GrammarMatcher) => T | null): T | null {
    if (!this.matcher) return null;
    try {
      return question(this.matcher);
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      if (!this.policy.target) throw error;
      this.close();
      return null;
    }
  }
}
