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
  /** the edge is starting over after a draft that fell, and no pass has been since */
  readonly afterMiss: boolean;
  /** rate at which the session's tokens come, tokens/ms */
  readonly tokensPerMs: number;
  /** what another row costs the pass, ms */
  readonly msPerRow: number;
}

/** Frames that are looked ahead for. */
const MOST_FRAMES = 12;
/**
 * A moment, and no more: drafts do not come for ever at the pace of the last few, since the edge's window closes and
 * a draft falls. Over the grid of docs/performance.md longer waits with drafts at hand lost up to a third. After a
 * miss the edge starts over with a window that is open: there the expectation is good for longer.
 */
const MOST_OF_PASS = 0.1;
const MOST_PENDING = 2;
const MOST_OF_PASS_AFTER_MISS = 0.5;

/**
 * How long to wait for more drafts before starting a pass, ms.
 *
 * A pass over m drafts commits E(m) tokens, E(m) = 1 + a + … + a^m. Afterwards the edge has to start over, which is
 * where things were before, unless nothing fell and the last token is the next draft too: with probability a^(m+1)
 * another pass follows at once, over the drafts that came meanwhile but for that one. Drafts that come during a pass
 * are not lost, so waiting only pays for what it adds to this one. All time costs tokens at the usual rate.
 * @param waitedMs how long it has waited already
 * @returns -1: start now
 */
export function waitMs(outlook: DraftOutlook, waitedMs: number): number {
  const { nextInMs, spacingMs, pending, passMs, afterMiss } = outlook;
  const mostMs = (afterMiss ? MOST_OF_PASS_AFTER_MISS : MOST_OF_PASS) * passMs - waitedMs;
  if (mostMs <= 0 || (!afterMiss && pending > MOST_PENDING)) return -1;
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
  const { pending, acceptance, passMs, tokensPerMs } = outlook;
  const before = startMs === 0 ? 0 : draftsBy(outlook, startMs);
  const during = draftsBy(outlook, startMs + passMs) - before;
  const goesOn = acceptance ** (pending + before + 1);
  const passCost = tokensPerMs * passMs;
  const next = during === 0 ? 0 : Math.max(0, tokensOfPass(outlook, during - 1) - passCost);
  return tokensOfPass(outlook, pending + before) - passCost - tokensPerMs * startMs + goesOn * next;
}

/** 1 + a + … + a^drafts, less what the rows cost; no draft is taken that is not worth its row. */
function tokensOfPass({ acceptance, tokensPerMs, msPerRow }: DraftOutlook, drafts: number): number {
  const cost = tokensPerMs * msPerRow;
  let tokens = 1;
  for (
    let i = 0, chance = acceptance;
    i < drafts && chance > Math.max(cost, 1e-3);
    i++, chance *= acceptance
  ) {
    tokens += chance - cost;
  }
  return tokens;
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
