/**
 * When to start a pass, and over how many drafts: pure functions of what is expected, for the simulator to judge.
 * Both weigh tokens against time at the rate at which tokens come anyway: Dinkelbach's condition for the largest
 * ratio of tokens to time. (Our derivation.)
 */

/** Drafts that are here and drafts that are expected. */
export interface DraftOutlook {
  /** drafts that are here, in a row behind the last committed token */
  readonly pending: number;
  /** probability that a draft stands when those before it do */
  readonly acceptance: number;
  /** until the next frame of drafts, ms; Infinity: none is expected */
  readonly nextInMs: number;
  /** between frames after that, ms */
  readonly spacingMs: number;
  /** how much later than expected a frame is still waited for, ms */
  readonly slackMs: number;
  /** drafts a frame */
  readonly frameTokens: number;
  /** time of a pass, ms */
  readonly passMs: number;
}

/** Frames that are looked ahead for. */
const MOST_FRAMES = 8;
/**
 * A moment, and no more: drafts do not come for ever at the pace of the last few, since the edge's window closes and
 * a draft falls. Over the scenarios and the grid of docs/performance.md waits of up to a tenth of a pass, with few
 * drafts at hand, won up to 4% and lost nothing; longer ones, or with more at hand, lost up to a third.
 */
const MOST_OF_PASS = 0.1;
const MOST_PENDING = 2;

/**
 * How long to wait for more drafts before starting a pass, ms.
 *
 * Drafts that come during a pass are not lost: the next pass takes them all. So two passes are compared, now or a
 * little later. The first commits E(m) tokens for m drafts, E(m) = 1 + a + … + a^m. With probability a^(m+1) nothing
 * fell and its last token is the next draft too: then the second pass goes on with the drafts that came meanwhile but
 * for that one; otherwise it has none. Waiting t puts off everything after it, which costs rate * t tokens.
 * @param tokensPerMs rate at which the session's tokens come
 * @param waitedMs how long it has waited already
 * @returns -1: start now
 */
export function waitMs(outlook: DraftOutlook, tokensPerMs: number, waitedMs: number): number {
  const { nextInMs, spacingMs, slackMs, pending, passMs } = outlook;
  const mostMs = MOST_OF_PASS * passMs - waitedMs;
  if (pending > MOST_PENDING || mostMs <= 0) return -1;
  const now = tokensOfTwoPasses(outlook, 0);
  let best = 0;
  let waitForMs = -1;
  for (let frame = 0; frame < MOST_FRAMES; frame++) {
    const atMs = nextInMs + frame * spacingMs;
    if (!(atMs <= mostMs)) break;
    const net = tokensOfTwoPasses(outlook, atMs) - now - tokensPerMs * atMs;
    if (net > best) {
      best = net;
      waitForMs = atMs;
    }
  }
  return waitForMs < 0 ? -1 : Math.min(waitForMs + slackMs, mostMs);
}

function tokensOfTwoPasses(outlook: DraftOutlook, startMs: number): number {
  const { pending, acceptance, passMs } = outlook;
  const before = startMs === 0 ? 0 : draftsBy(outlook, startMs);
  const during = draftsBy(outlook, startMs + passMs) - before;
  const goesOn = acceptance ** (pending + before + 1);
  const second = during === 0 ? 1 : goesOn * tokensOfPass(acceptance, during - 1) + (1 - goesOn);
  return tokensOfPass(acceptance, pending + before) + second;
}

/** 1 + a + … + a^drafts. */
function tokensOfPass(acceptance: number, drafts: number): number {
  return acceptance === 1 ? drafts + 1 : (1 - acceptance ** (drafts + 1)) / (1 - acceptance);
}

/** Drafts that should have come by then. */
function draftsBy({ nextInMs, spacingMs, frameTokens }: DraftOutlook, atMs: number): number {
  return atMs < nextInMs ? 0 : frameTokens * (1 + Math.floor((atMs - nextInMs) / spacingMs + 1e-9));
}

/**
 * Rows that are worth their time in a pass: the first, and one more for each draft whose chance of being reached and
 * standing is worth more tokens than are lost while its row is computed.
 * @param tokensPerMs rate of the whole server: a row makes everybody in the pass wait
 * @param msPerRow what another row costs
 */
export function worthwhileRows(
  acceptance: number,
  tokensPerMs: number,
  msPerRow: number,
  most: number,
): number {
  const cost = tokensPerMs * msPerRow;
  let rows = 1;
  for (let chance = acceptance; rows < most && chance > cost; chance *= acceptance) rows++;
  return rows;
}
