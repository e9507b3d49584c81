import { assert } from "../../util/assert.ts";
import { FadingLog } from "../../util/estimates.ts";

/**
 * Whether drafts are made: a pure state machine, told of verdicts and of their times, one for all sessions of an edge with a
 * cloud that goes on by itself. Its reasons:
 *
 * - Drafting can slow the target down: on one machine it takes time, caches and memory from it, in a full cloud its rows make
 *   everybody wait. Neither side sees that on its own clock. What counts is the rate at which tokens are committed: it is
 *   measured with drafts and without, in alternation, and the better way is kept.
 * - A stretch of silence costs what drafts would have brought: it is short, and the rarer the surer the answer is. Where drafts
 *   do not pay a try of them costs too: the more it costs, the rarer it is.
 * - Without drafts every pass commits one token. Where that could not be faster, even if passes took so much less than the
 *   short ones take now, silence is not tried.
 * - What was learnt holds as long as verdicts keep their pace, by what that scatters. When it has changed, the other way is
 *   tried at once; but a target that has become faster without drafts is no reason to make some. One try that says once more
 *   that drafts do not pay is enough. (The rate itself scatters more than the pace, since verdicts bring few tokens or many.)
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
const DRAFTS_TOKENS = 20;
const SILENCE_TOKENS = 12;
const TRY_TOKENS = 16;
/** Drafts of a session that were in flight are used up when so many verdicts in a row have judged none. */
const QUIET_VERDICTS = 2;
/** Verdicts of a session from its first judged draft until they count. */
const WARM_VERDICTS = 3;
/** A session's verdicts count after so many in any case: drafts that have not come by then come too late. */
const MOST_SETTLING_VERDICTS = 64;
/** Logarithms of ratios of rates. */
const LEAST_GAIN_LOG = 0.02;
const CHANGE_LOG = 0.25;
/** Standard deviations of a stretch without drafts: on a machine that others use too its pace scatters by more than that. */
const CHANGE_DEVIATIONS = 3;
const OTHER_WORLD_LOG = 0.5;
/** Of a stretch, before there are several: verdicts on drafts bring few tokens or many, without they bring one each. */
const DRAFTS_DEVIATION = 0.15;
const SILENCE_DEVIATION = 0.08;
/** Standard errors. */
const SURE_ERRORS = 1.5;
/** With so many stretches of each the better mean is believed. */
const ENOUGH_STRETCHES = 3;
/** What short passes could take without drafts, of what they take with them: a machine that is shared by both. */
const LEAST_OF_PASS = 0.75;
/** Short ones: this share of all, followed by steps of a tenth. */
const SHORT_SHARE = 0.25;
const SHORT_STEP_LOG = 0.1;
/** Of the usual ones, where that is not known. */
const SHORT_OF_USUAL = 0.5;
/** Until the other way is tried: more each time that it is no better. */
const FIRST_TRY_TOKENS = 64;
const FIRST_DRAFTS_TOKENS = 96;
const LONGEST_DRAFTS_TOKENS = 4096;
const FIRST_REST_TOKENS = 64;
const LONGEST_REST_TOKENS = 2048;
const LONG_REST_TOKENS = 512;
/** A try that costs more than this is made rarer faster. */
const DEAR_TRY_LOG = 0.2;
/** Tokens of a try of drafts, with those until it counts; and the share of all time that tries may cost after long rests. */
const WHOLE_TRY_TOKENS = 24;
const TRIES_SHARE = 0.01;
/** Verdicts that a gain of nothing is measured over before it is believed, and tokens that it is then given up for. */
const IDLE_VERDICTS = 48;
const LEAST_GAIN_TOKENS = 0.02;
const FIRST_IDLE_TOKENS = 32;
const LONGEST_IDLE_TOKENS = 256;
/** Of a gate with no verdict yet. */
const FIRST_TURN = 1;

export class DraftGate {
  /** grows whenever drafts begin or end: what a session had in flight before is then no part of what it sees */
  turn = FIRST_TURN;
  /** sessions that have told something since then */
  sessions = 0;
  private mode: Mode = "drafts";
  /** ms a token, of each way; and ms a verdict, of the way that is taken */
  private readonly drafts = new FadingLog(DRAFTS_DEVIATION);
  private readonly silence = new FadingLog(SILENCE_DEVIATION);
  private readonly pace = new FadingLog(SILENCE_DEVIATION);
  private paceOf: Mode = "drafts";
  /** between verdicts with drafts, as it is for the shortest quarter, ms; -1: not known */
  private shortMs = -1;
  /** of one session, until this mode ends */
  private leftTokens = FIRST_TRY_TOKENS;
  private intervalTokens = FIRST_DRAFTS_TOKENS;
  private idleTokens = FIRST_IDLE_TOKENS;
  private stretch = new Stretch();
  /** what was sure the last time; at first they are taken to pay */
  private lastlyPaid = true;
  /** the last try found the other way changed, and this way is to be measured again */
  private isOtherWorld = false;
  /** this mode has had a stretch */
  private isMeasured = false;
  /** how the last stretch's pace was to those before: -1 far faster, 1 far slower, 0 near */
  private paceSide = 0;
  private gainVerdicts = 0;
  private gainTokens = 0;

  /** Drafts are made. */
  get open(): boolean {
    return this.mode === "drafts" || this.mode === "triesDrafts";
  }

  /**
   * A verdict committed something.
   * @param ms since the verdict before it of its session; -1: it is the first
   * @param reached drafts of its session have reached the cloud since they were begun, or should have
   * @param counts what its session had in flight before is used up
   */
  verdict(tokens: number, ms: number, reached: boolean, counts: boolean): void {
    const { mode } = this;
    // A try takes each session a while: the more of them, the rarer it is among their tokens.
    this.leftTokens -= tokens / Math.max(1, this.sessions);
    if (mode === "idles") {
      if (counts && ms >= 0) this.stretch.add(tokens, ms);
      if (this.leftTokens <= 0 || this.idledSlower()) this.enter("drafts", this.intervalTokens);
      return;
    }
    if (this.open && reached && this.bringsNothing(tokens)) {
      this.enter("idles", this.idleTokens);
      this.idleTokens = Math.min(2 * this.idleTokens, LONGEST_IDLE_TOKENS);
      return;
    }
    if (this.open && reached && ms > 0) this.noteShort(ms);
    if (counts && ms >= 0) this.stretch.add(tokens, ms);
    const enough = !this.open ? SILENCE_TOKENS : mode === "drafts" ? DRAFTS_TOKENS : TRY_TOKENS;
    if (this.stretch.ms > 0 && this.stretch.tokens >= enough) this.measured();
    if (this.leftTokens > 0 || this.mode !== mode || !this.isMeasured) return;
    if (mode === "drafts" && this.silenceMayBeFaster()) this.enter("triesSilence", 0);
    else if (mode === "rests") this.enter("triesDrafts", 0);
  }

  /** @throws AssertionError */
  checkIntegrity(): void {
    const { mode, leftTokens, intervalTokens, idleTokens, gainVerdicts, stretch } = this;
    const mostTokens = Math.max(intervalTokens, LONGEST_IDLE_TOKENS);
    assert(leftTokens <= mostTokens, `${mode} for ${leftTokens} tokens more`);
    assert(
      0 < intervalTokens && intervalTokens <= LONGEST_DRAFTS_TOKENS,
      `the other way is tried in ${intervalTokens} tokens`,
    );
    assert(
      0 < idleTokens && idleTokens <= LONGEST_IDLE_TOKENS,
      `the next idle time has ${idleTokens} tokens`,
    );
    assert(gainVerdicts < IDLE_VERDICTS, `a gain is measured over ${gainVerdicts} verdicts`);
    assert(stretch.tokens >= 0 && stretch.ms >= 0, "a stretch has tokens and time");
  }

  /** A stretch is long enough. */
  private measured(): void {
    const { stretch, mode } = this;
    const sample = Math.log(stretch.ms / stretch.tokens);
    const pace = Math.log(stretch.ms / stretch.verdicts);
    this.stretch = new Stretch();
    this.isMeasured = true;
    const known = this.open ? this.drafts : this.silence;
    if (mode === "triesSilence" || mode === "triesDrafts") {
      // The world has changed since it was last tried.
      this.isOtherWorld = known.samples >= 2 && Math.abs(sample - known.mean) > OTHER_WORLD_LOG;
      if (this.isOtherWorld) this.forgetRates();
      known.add(sample);
      this.decide();
      return;
    }
    const change = this.changeOf(pace);
    if (change !== 0) {
      this.forgetRates();
      this.shortMs = SHORT_OF_USUAL * Math.exp(pace);
    }
    if (change > 0 || (change < 0 && this.open)) {
      this.intervalTokens = this.open ? FIRST_DRAFTS_TOKENS : FIRST_REST_TOKENS;
      this.leftTokens = 0;
    }
    known.add(sample);
    // The other way was measured in this world a moment ago.
    if (this.isOtherWorld && change === 0) this.decide();
    this.isOtherWorld = false;
  }

  /** Where a pass takes longer there is more time for drafts. */
  private idledSlower(): boolean {
    const { ms, tokens, verdicts } = this.stretch;
    if (ms === 0 || tokens < SILENCE_TOKENS) return false;
    this.stretch = new Stretch();
    return this.changeOf(Math.log(ms / verdicts)) > 0;
  }

  private noteShort(ms: number): void {
    if (this.shortMs < 0) this.shortMs = ms;
    else this.shortMs *= Math.exp(SHORT_STEP_LOG * (ms < this.shortMs ? SHORT_SHARE - 1 : SHORT_SHARE));
  }

  private silenceMayBeFaster(): boolean {
    return LEAST_OF_PASS * this.shortMs < Math.exp(this.drafts.mean);
  }

  /** 1 slower, -1 faster: the second time in a row that the pace is far from the usual one, on the same side; 0 as usual. */
  private changeOf(pace: number): number {
    const difference = this.pace.samples < 2 ? 0 : pace - this.pace.mean;
    const far = this.open ? CHANGE_LOG : Math.max(CHANGE_LOG, CHANGE_DEVIATIONS * this.pace.deviation);
    const side = Math.abs(difference) > far ? Math.sign(difference) : 0;
    const changed = side !== 0 && side === this.paceSide;
    this.paceSide = changed ? 0 : side;
    if (changed) this.pace.forget();
    // One that is far may be chance, and is not learnt.
    if (changed || side === 0) this.pace.add(pace);
    return changed ? side : 0;
  }

  private forgetRates(): void {
    this.drafts.forget();
    this.silence.forget();
  }

  /** A try is over. */
  private decide(): void {
    const { drafts, silence } = this;
    const triedDrafts = this.mode === "triesDrafts";
    const gain = silence.mean - drafts.mean - LEAST_GAIN_LOG;
    const error = Math.sqrt(drafts.variance + silence.variance);
    const enough = Math.min(drafts.samples, silence.samples) >= ENOUGH_STRETCHES;
    // A try of silence costs little, and is made again.
    const asBefore = triedDrafts && gain < 0 && !this.lastlyPaid;
    const isSure = enough || asBefore || (Number.isFinite(gain) && Math.abs(gain) > SURE_ERRORS * error);
    // Not sure: as before, and tried again when that has been measured once more.
    const pays = isSure ? gain > 0 : !triedDrafts;
    if (isSure) this.lastlyPaid = pays;
    const [first, longest] = pays
      ? [FIRST_DRAFTS_TOKENS, LONGEST_DRAFTS_TOKENS]
      : [FIRST_REST_TOKENS, this.longestRest()];
    if (!isSure || pays === triedDrafts) this.intervalTokens = first;
    else this.intervalTokens = Math.min((gain < -DEAR_TRY_LOG ? 4 : 2) * this.intervalTokens, longest);
    this.enter(pays ? "drafts" : "rests", isSure ? this.intervalTokens : 0);
  }

  /** A try of drafts takes longer than the same tokens without: so long that this is the share it may cost, tokens. */
  private longestRest(): number {
    const lost = WHOLE_TRY_TOKENS * (Math.exp(this.drafts.mean - this.silence.mean) - 1);
    // Where it costs next to nothing, energy is saved.
    return Math.max(LONG_REST_TOKENS, Math.min(LONGEST_REST_TOKENS, lost / TRIES_SHARE));
  }

  private bringsNothing(tokens: number): boolean {
    this.gainVerdicts++;
    this.gainTokens += tokens;
    if (this.gainVerdicts < IDLE_VERDICTS) return false;
    const nothing = this.gainTokens / this.gainVerdicts - 1 < LEAST_GAIN_TOKENS;
    if (!nothing) this.idleTokens = FIRST_IDLE_TOKENS;
    this.gainVerdicts = 0;
    this.gainTokens = 0;
    return nothing;
  }

  private enter(mode: Mode, tokens: number): void {
    if (mode !== "triesSilence" && mode !== "triesDrafts" && mode !== this.paceOf) {
      this.paceOf = mode;
      this.pace.forget();
    }
    this.mode = mode;
    this.leftTokens = tokens;
    this.turn++;
    this.sessions = 0;
    this.stretch = new Stretch();
    this.isMeasured = false;
    this.paceSide = 0;
    this.gainVerdicts = 0;
    this.gainTokens = 0;
  }
}

/** Verdicts of one way in a row, of all sessions. */
class Stretch {
  tokens = 0;
  ms = 0;
  verdicts = 0;

  add(tokens: number, ms: number): void {
    this.tokens += tokens;
    this.ms += ms;
    this.verdicts++;
  }
}

/** What one session tells the gate: verdicts do not count until what it had in flight before the turn is used up. */
export class GateMeter {
  private readonly gate: DraftGate;
  private turn = 0;
  private settled = false;
  private settlingVerdicts = 0;
  private quietVerdicts = 0;
  private sinceJudged = 0;
  private anyJudged = false;
  /** since the last verdict */
  private judgedNow = false;

  constructor(gate: DraftGate) {
    this.gate = gate;
  }

  /** A draft of the session was judged: drafts have reached the cloud. */
  judged(): void {
    this.begin();
    this.anyJudged = true;
    this.judgedNow = true;
  }

  /** @param ms since the session's verdict before this one; -1: it is the first */
  verdict(tokens: number, ms: number): void {
    this.begin();
    const counts = this.settled;
    if (!counts) this.settle();
    this.judgedNow = false;
    this.gate.verdict(tokens, ms, this.anyJudged || counts, counts);
  }

  private begin(): void {
    if (this.turn === this.gate.turn) return;
    this.turn = this.gate.turn;
    this.gate.sessions++;
    this.settled = false;
    this.settlingVerdicts = 0;
    this.quietVerdicts = 0;
    this.sinceJudged = 0;
    this.anyJudged = false;
  }

  private settle(): void {
    this.settlingVerdicts++;
    this.quietVerdicts = this.judgedNow ? 0 : this.quietVerdicts + 1;
    if (this.anyJudged) this.sinceJudged++;
    const over = this.gate.open ? this.sinceJudged >= WARM_VERDICTS : this.quietVerdicts >= QUIET_VERDICTS;
    this.settled = over || this.settlingVerdicts >= MOST_SETTLING_VERDICTS;
  }
}
