/**
 * When to start a pass, and over how many drafts: pure functions of what is expected, for the simulator to judge.
 * Both weigh tokens against time at the rate at which tokens come anyway: Dinkelbach's condition for the largest
 * ratio of tokens to time. (Our derivation.)
 */

/** Drafts that are here and drafts that are expected. */
export interface DraftOutlook {
  /** drafts that are here, in a row behind the last committed token */
  readonly pending: number;
  /** probability that a draft is accepted when those before it are */
  readonly acceptance: number;
  /** until the next frame of drafts, ms; Infinity: none is expected */
  readonly nextInMs: number;
  /** between frames after that, ms */
  readonly spacingMs: number;
  /** how much later than expected a frame is still waited for, ms */
  readonly slackMs: number;
  /** drafts a frame */
  readonly frameTokens: number;
  /** time of a pass with one row, ms */
  readonly passMs: number;
  readonly edge: EdgeSituation;
  /** rate at which the session's tokens come, tokens/ms */
  readonly tokensPerMs: number;
  /** what another row costs the pass, ms */
  readonly msPerRow: number;
}

/**
 * Where the edge is: `level`, all of its drafts were accepted and it drafts on from the token that the last pass gave;
 * `startsOver`, a draft was rejected and it is not back yet; `other`, there are drafts of it, or they came too late.
 */
export type EdgeSituation = "level" | "startsOver" | "other";

/** Frames that are looked ahead for. */
const MOST_FRAMES = 12;
/**
 * How much of a pass (with one row) is waited at most. With drafts at hand a moment, and no more: they do not come for
 * ever at the rate of the last few, since the edge's window closes and a draft is rejected. Over the grid of
 * docs/performance.md longer waits lost up to a third there. An edge that starts over has an open window, and one that
 * is level is about to send: there the expectation is good for longer. Without the wait for one that is level, drafts
 * can keep coming a moment after each start of a pass.
 */
const MOST_OF_PASS: Record<EdgeSituation, number> = { level: 0.4, startsOver: 0.5, other: 0.1 };
const MOST_PENDING = 2;
/** Drafts that are less likely than this to be reached are not counted. */
const LEAST_CHANCE = 1e-3;

/**
 * How long to wait for more drafts before starting a pass, ms.
 *
 * A pass over m drafts commits E(m) tokens, E(m) = 1 + a + … + a^m. Afterwards the edge has to start over, which is
 * where things were before, unless nothing was rejected and the last token is the next draft too: with probability
 * a^(m+1) another pass follows at once, over the drafts that came meanwhile but for that one. Drafts that come during
 * a pass are not lost, so waiting only pays for what it adds to this one. All time costs tokens at the usual rate.
 * @param waitedMs how long it has waited already
 * @returns -1: start now
 */
export function waitMs(outlook: DraftOutlook, waitedMs: number): number {
  const { nextInMs, spacingMs, pending, passMs, edge } = outlook;
  const mostMs = MOST_OF_PASS[edge] * passMs - waitedMs;
  if (mostMs <= 0 || (edge === "other" && pending > MOST_PENDING)) return -1;
  let best = worth(outlook, 0);
  let waitForMs = -1;
  for (let frame = 0; frame < MOST_FRAMES; frame++) {
    const atMs = nextInMs + frame * spacingMs;
    if (!(atMs <= mostMs)) break;
    const value = worth(outlook, atMs);
    if (value > best) {
      best = value;
      waitForMs = atMs;
    }
  }
  // Until then, and a little longer for a frame that is late, but never past the bound.
  return waitForMs < 0 ? -1 : Math.min(mostMs, waitForMs + outlook.slackMs);
}

/** Tokens of the pass that starts then, and of the one that may follow it, less what their time costs. */
function worth(outlook: DraftOutlook, startMs: number): number {
  const { pending, acceptance, tokensPerMs } = outlook;
  const before = startMs === 0 ? 0 : draftsBy(outlook, startMs);
  const first = passOver(outlook, pending + before);
  const during = draftsBy(outlook, startMs + first.ms) - before;
  const goesOn = acceptance ** (pending + before + 1);
  const second = passOver(outlook, during - 1);
  const next = during === 0 ? 0 : Math.max(0, second.tokens - tokensPerMs * second.ms);
  return first.tokens - tokensPerMs * (startMs + first.ms) + goesOn * next;
}

/** 1 + a + … + a^drafts tokens, and the time that their rows take; no draft is taken that is not worth its row. */
function passOver(
  { acceptance, tokensPerMs, passMs, msPerRow }: DraftOutlook,
  drafts: number,
): { tokens: number; ms: number } {
  const least = Math.max(tokensPerMs * msPerRow, LEAST_CHANCE);
  let [tokens, ms] = [1, passMs];
  for (let i = 0, chance = acceptance; i < drafts && chance > least; i++, chance *= acceptance) {
    tokens += chance;
    ms += msPerRow;
  }
  return { tokens, ms };
}

/** Drafts that should have come by then. */
function draftsBy({ nextInMs, spacingMs, frameTokens }: DraftOutlook, atMs: number): number {
  return atMs < nextInMs ? 0 : frameTokens * (1 + Math.floor((atMs - nextInMs) / spacingMs + 1e-9));
}

/**
 * Rows that are worth their time in a pass: one, and so many more that the tokens they are expected to bring are most above
 * those that are lost while they are computed. A single further row may cost more than it brings where several do not.
 * @param tokensPerMs rate of the whole server: a row makes everybody in the pass wait
 * @param extraMs what so many rows take more than one
 */
export function worthwhileRows(
  acceptance: number,
  tokensPerMs: number,
  extraMs: (rows: number) => number,
  most: number,
): number {
  let [best, bestValue, tokens] = [1, 0, 0];
  for (let rows = 2, chance = acceptance; rows <= most && chance > 0; rows++, chance *= acceptance) {
    tokens += chance;
    const value = tokens - tokensPerMs * extraMs(rows);
    if (value > bestValue) [best, bestValue] = [rows, value];
    else if (chance < LEAST_CHANCE) break;
  }
  return best;
}
