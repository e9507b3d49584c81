import { assert } from "../../util/assert.ts";
import { FadingLog } from "./fading-log.ts";

/**
 * Whether drafts are made: a pure state machine, told of verdicts and of their times, one for all sessions of an edge with a
 * cloud that goes on by itself. Its reasons:
 *
 * - Drafting can slow the target down: on one machine it takes time, caches and memory from it, in a full cloud its rows make
 *   everybody wait. Neither side sees that on its own clock. What counts is the rate at which tokens are committed: it is
 *   measured with drafts and without, in alternation, and the better way is kept.
 * - A stretch of silence costs what drafts would have brought: it is short, and the rarer the surer the answer is.
 * - Without drafts every pass commits one token. Where that could not be faster, even if passes took so much less than the
 *   short ones take now, silence is not tried.
 * - What was learnt holds as long as verdicts keep their pace. When that has changed, the other way is tried at once. (The
 *   rate itself scatters more, since verdicts bring few tokens or many.)
 * - Drafts that bring next to nothing (they come too late, or are never right) cost energy: they rest whatever the rate.
 */

type Mode =
  /** drafts are made; silence is tried from time to time */
  | "drafts"
  | "triesSilence"
  /** none are made, since they do not pay; they are tried from time to time */
  | "rests"
  | "triesDrafts"
  /** none are made for a while, since they brought nothing */
  | "idles";

/** Tokens that a rate is measured over. */
const DRAFTS_TOKENS = 24;
const SILENCE_TOKENS = 12;
const TRY_TOKENS = 16;
/** Drafts that were in flight are used up when so many verdicts in a row have committed a token each. */
const QUIET_VERDICTS = 2;
/** Verdicts from the first judged draft of a stretch until it counts. */
const WARM_VERDICTS = 3;
const MOST_SETTLING = 64;
/** Logarithms of ratios of rates. */
const LEAST_GAIN = 0.02;
const CHANGE = 0.25;
const OTHER_WORLD = 0.5;
/** Standard errors. */
const SURE = 1.5;
/** With so many stretches of each the better mean is believed. */
const ENOUGH_STRETCHES = 3;
/** What short passes could take without drafts, of what they take with them: a machine that is shared by both. */
const LEAST_OF_PASS = 0.75;
/** Short ones: this share of all, followed by steps of a tenth. */
const SHORT_SHARE = 0.25;
const SHORT_STEP = 0.1;
/** Of the usual ones, where that is not known. */
const SHORT_OF_USUAL = 0.5;
/** Tokens until the other way is tried: more each time that it is no better. */
const FIRST_TRY = 64;
const FIRST_DRAFTS = 96;
const LONGEST_DRAFTS = 4096;
const FIRST_REST = 64;
const LONGEST_REST = 512;
/** The same where the last try has not settled it. */
const UNSURE = 30;
/** Verdicts that a gain of nothing is measured over before it is believed, and how long it is then given up, tokens. */
const IDLE_VERDICTS = 48;
const FIRST_IDLE = 32;
const LONGEST_IDLE = 256;

export class DraftGate {
  private mode: Mode = "drafts";
  /** ms a token, of each way; and ms a verdict, of the way that is taken */
  private readonly drafts = new FadingLog();
  private readonly silence = new FadingLog();
  private readonly pace = new FadingLog();
  private paceOf: Mode = "drafts";
  /** between verdicts with drafts, as it is for the shortest quarter, ms; -1: not known */
  private shortMs = -1;
  /** tokens until this mode ends */
  private leftTokens = FIRST_TRY;
  private interval = FIRST_DRAFTS;
  private idleTokens = FIRST_IDLE;
  private stretch = new Stretch();
  /** how the last stretch's pace was to those before: -1 far faster, 1 far slower, 0 near */
  private apart = 0;
  private felt = false;
  private gainVerdicts = 0;
  private gainTokens = 0;

  /** Drafts are made. */
  get open(): boolean {
    return this.mode === "drafts" || this.mode === "triesDrafts";
  }

  /** A draft was judged: drafts have reached the cloud. Before that no gain can be seen. */
  judged(): void {
    this.felt = true;
    this.stretch.felt = true;
  }

  /**
   * A verdict committed something.
   * @param ms since the verdict before it of its session; -1: it is the first
   */
  verdict(tokens: number, ms: number): void {
    const { mode } = this;
    this.leftTokens -= tokens;
    if (mode === "idles") {
      if (this.leftTokens <= 0) this.enter("drafts", this.interval);
      return;
    }
    if (this.open && this.bringsNothing(tokens)) {
      this.enter("idles", this.idleTokens);
      this.idleTokens = Math.min(2 * this.idleTokens, LONGEST_IDLE);
      return;
    }
    if (this.open && this.felt && ms > 0) this.noteShort(ms);
    const enough = !this.open ? SILENCE_TOKENS : mode === "drafts" ? DRAFTS_TOKENS : TRY_TOKENS;
    if (this.stretch.add(tokens, ms, this.open) && this.stretch.tokens >= enough) this.measured();
    if (this.leftTokens > 0 || this.mode !== mode) return;
    if (mode === "drafts" && this.drafts.samples > 0 && this.silenceMayBeFaster())
      this.enter("triesSilence", 0);
    else if (mode === "rests" && this.silence.samples > 0) this.enter("triesDrafts", 0);
  }

  /** @throws AssertionError */
  checkIntegrity(): void {
    const { mode, leftTokens, interval, idleTokens, gainVerdicts, stretch } = this;
    assert(leftTokens <= Math.max(interval, LONGEST_IDLE), `${mode} for ${leftTokens} tokens more`);
    assert(0 < interval && interval <= LONGEST_DRAFTS, `the other way is tried in ${interval} tokens`);
    assert(0 < idleTokens && idleTokens <= LONGEST_IDLE, `the next idle time has ${idleTokens} tokens`);
    assert(gainVerdicts < IDLE_VERDICTS, `a gain is measured over ${gainVerdicts} verdicts`);
    assert(stretch.tokens >= 0 && stretch.ms >= 0, "a stretch has tokens and time");
  }

  /** A stretch is long enough. */
  private measured(): void {
    const { stretch, mode } = this;
    const sample = Math.log(stretch.ms / stretch.tokens);
    const pace = Math.log(stretch.ms / stretch.verdicts);
    stretch.next();
    const known = this.open ? this.drafts : this.silence;
    if (mode === "triesSilence" || mode === "triesDrafts") {
      // The world has changed since it was last tried.
      if (known.samples >= 2 && Math.abs(sample - known.mean) > OTHER_WORLD) this.forgetRates();
      known.add(sample);
      this.decide();
      return;
    }
    if (this.hasChanged(pace)) {
      this.forgetRates();
      this.shortMs = SHORT_OF_USUAL * Math.exp(pace);
      this.interval = this.open ? FIRST_DRAFTS : FIRST_REST;
      this.leftTokens = 0;
    }
    known.add(sample);
  }

  private noteShort(ms: number): void {
    if (this.shortMs < 0) this.shortMs = ms;
    else this.shortMs *= Math.exp(SHORT_STEP * (ms < this.shortMs ? SHORT_SHARE - 1 : SHORT_SHARE));
  }

  private silenceMayBeFaster(): boolean {
    return LEAST_OF_PASS * this.shortMs < Math.exp(this.drafts.mean);
  }

  /** The second time in a row that the pace is far from the usual one, on the same side. */
  private hasChanged(pace: number): boolean {
    const difference = this.pace.samples < 2 ? 0 : pace - this.pace.mean;
    const side = Math.abs(difference) > CHANGE ? Math.sign(difference) : 0;
    const changed = side !== 0 && side === this.apart;
    this.apart = changed ? 0 : side;
    if (changed) this.pace.forget();
    // One that is far may be chance, and is not learnt.
    if (changed || side === 0) this.pace.add(pace);
    return changed;
  }

  private forgetRates(): void {
    this.drafts.forget();
    this.silence.forget();
  }

  /** A try is over. */
  private decide(): void {
    const { drafts, silence } = this;
    const triedDrafts = this.mode === "triesDrafts";
    const gain = silence.mean - drafts.mean - LEAST_GAIN;
    const error = Math.sqrt(drafts.variance + silence.variance);
    const enough = Math.min(drafts.samples, silence.samples) >= ENOUGH_STRETCHES;
    const isSure = enough || (Number.isFinite(gain) && Math.abs(gain) > SURE * error);
    // Not sure: as before, and tried again soon.
    const pays = isSure ? gain > 0 : !triedDrafts;
    const [first, longest] = pays ? [FIRST_DRAFTS, LONGEST_DRAFTS] : [FIRST_REST, LONGEST_REST];
    if (!isSure || pays === triedDrafts) this.interval = first;
    else this.interval = Math.min(2 * this.interval, longest);
    this.enter(pays ? "drafts" : "rests", isSure ? this.interval : UNSURE);
  }

  private bringsNothing(tokens: number): boolean {
    if (!this.felt) return false;
    this.gainVerdicts++;
    this.gainTokens += tokens;
    if (this.gainVerdicts < IDLE_VERDICTS) return false;
    const nothing = this.gainTokens / this.gainVerdicts - 1 < LEAST_GAIN;
    if (!nothing) this.idleTokens = FIRST_IDLE;
    this.gainVerdicts = 0;
    this.gainTokens = 0;
    return nothing;
  }

  private enter(mode: Mode, tokens: number): void {
    if ((mode === "drafts" || mode === "rests") && mode !== this.paceOf) {
      this.paceOf = mode;
      this.pace.forget();
    }
    this.mode = mode;
    this.leftTokens = tokens;
    this.stretch = new Stretch();
    this.apart = 0;
    this.felt = false;
    this.gainVerdicts = 0;
    this.gainTokens = 0;
  }
}

/** Verdicts of one way in a row. What the way before has left in the pipeline is no part of it. */
class Stretch {
  felt = false;
  tokens = 0;
  ms = 0;
  verdicts = 0;
  private settled = false;
  private settling = 0;
  private quiet = 0;
  private warm = 0;

  /** @returns whether it can be measured */
  add(tokens: number, ms: number, withDrafts: boolean): boolean {
    if (!this.settled) {
      this.settle(tokens, withDrafts);
      return false;
    }
    if (ms < 0) return false;
    this.tokens += tokens;
    this.ms += ms;
    this.verdicts++;
    return this.ms > 0;
  }

  /** The next one of the same way. */
  next(): void {
    this.tokens = 0;
    this.ms = 0;
    this.verdicts = 0;
  }

  private settle(tokens: number, withDrafts: boolean): void {
    this.settling++;
    this.quiet = tokens === 1 ? this.quiet + 1 : 0;
    if (this.felt) this.warm++;
    const quiet = this.quiet >= QUIET_VERDICTS || this.settling >= MOST_SETTLING;
    this.settled = withDrafts ? this.warm >= WARM_VERDICTS : quiet;
  }
}
