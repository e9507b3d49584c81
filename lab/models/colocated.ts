import { tokensPerBonusCycle } from "./formulas.ts";
import type { Scenario } from "./scenario.ts";

/**
 * Co-located speculation: drafter and target on one server in the data centre, one after the other, with a bonus
 * token and no network inside; the answer streams to the user. It is what "Speculation at a Distance" (arXiv
 * 2606.25091) says that drafting on the edge cannot beat over a wide-area network, and what the edge's drafts
 * take off the server. Batches and bounds are our derivation.
 */

export interface ServerTimes {
  /** a pass of the target over up to `passFreeRows` rows, ms */
  readonly passMs: number;
  /** each further row, ms */
  readonly passMsPerToken: number;
  readonly passFreeRows: number;
  /** one step of the server's own drafter, for the whole batch, ms */
  readonly draftMs: number;
}

const MOST_GAMMA = 64;

export function serverTimes(scenario: Scenario): ServerTimes {
  const { passMs, passMsPerToken, passFreeRows, draftMs, colocatedDraftMs } = scenario;
  return { passMs, passMsPerToken, passFreeRows, draftMs: colocatedDraftMs || draftMs };
}

/** A pass over so many rows of all sessions together, ms. */
export function decodePassMs({ passMs, passMsPerToken, passFreeRows }: ServerTimes, rows: number): number {
  return passMs + passMsPerToken * Math.max(0, rows - passFreeRows);
}

/**
 * Tokens/s of each of the sessions that a server decodes in lockstep: (1 - a^(gamma + 1)) / (1 - a) tokens in
 * gamma t_d + t_v(sessions (gamma + 1)); arXiv 2211.17192, theorem 3.8, with times instead of their ratio.
 */
export function colocatedTokensPerSecond(
  server: ServerTimes,
  acceptance: number,
  gamma: number,
  sessions = 1,
): number {
  const cycleMs = gamma * server.draftMs + decodePassMs(server, sessions * (gamma + 1));
  return (1000 * tokensPerBonusCycle(acceptance, gamma)) / cycleMs;
}

/** Tokens/s of each of the sessions of a server that does not speculate. */
export function plainTokensPerSecond(server: ServerTimes, sessions = 1): number {
  return 1000 / decodePassMs(server, sessions);
}

export interface BestGamma {
  readonly gamma: number;
  readonly tokensPerSecond: number;
}

/** The best of 1 to 64 drafts a cycle. */
export function bestColocated(server: ServerTimes, acceptance: number, sessions = 1): BestGamma {
  let best: BestGamma = { gamma: 0, tokensPerSecond: 0 };
  for (let gamma = 1; gamma <= MOST_GAMMA; gamma++) {
    const tokensPerSecond = colocatedTokensPerSecond(server, acceptance, gamma, sessions);
    if (tokensPerSecond > best.tokensPerSecond) best = { gamma, tokensPerSecond };
  }
  return best;
}

/** What a server has to give to each session, and how many it has memory for. */
export interface Demand {
  readonly tokensPerSecond: number;
  /** most sessions, by their KV */
  readonly sequences: number;
}

/** What a session wants of a server, round after round. */
interface Round {
  readonly tokens: number;
  /** of the target, a round */
  readonly rows: number;
  /** that the server drafts, for the whole batch, ms */
  readonly draftingMs: number;
  /** that the round takes elsewhere, ms: other sessions use the server meanwhile */
  readonly elsewhereMs: number;
}

export interface Capacity {
  /** how many sessions a server carries, at most; not rounded */
  readonly sessions: number;
  /** sessions in one pass */
  readonly batch: number;
  /** drafts a round; 0: it does not speculate */
  readonly gamma: number;
}

/**
 * Upper bound on a server's sessions, every session at the demanded rate, passes back to back and no queueing.
 * A round may take C = 1000 tokens / rate ms. A batch of b fits when draftingMs + t_v(b rows) + elsewhereMs <= C,
 * and C / (draftingMs + t_v(b rows)) batches take turns. More in a batch is never worse, since a pass has a part
 * that all share; so b is the largest that fits.
 */
function capacity(server: ServerTimes, round: Round, demand: Demand): Omit<Capacity, "gamma"> {
  const roundMs = (1000 * round.tokens) / demand.tokensPerSecond;
  const spareMs = roundMs - round.draftingMs - round.elsewhereMs - server.passMs;
  if (spareMs < 0) return { sessions: 0, batch: 0 };
  const rows = server.passFreeRows + (server.passMsPerToken > 0 ? spareMs / server.passMsPerToken : Infinity);
  const batch = Math.min(demand.sequences, Math.floor(rows / round.rows));
  if (batch === 0) return { sessions: 0, batch: 0 };
  const busyMs = round.draftingMs + decodePassMs(server, batch * round.rows);
  return { sessions: Math.min(demand.sequences, (batch * roundMs) / busyMs), batch };
}

/** A server that does not speculate: every session is in every pass. */
export function plainCapacity(server: ServerTimes, demand: Demand): Capacity {
  return { ...capacity(server, { tokens: 1, rows: 1, draftingMs: 0, elsewhereMs: 0 }, demand), gamma: 0 };
}

/** A server that drafts for itself, at its best draft length. */
export function colocatedCapacity(server: ServerTimes, acceptance: number, demand: Demand): Capacity {
  return bestCapacity((gamma) => {
    const draftingMs = gamma * server.draftMs;
    return capacity(server, { ...roundOf(acceptance, gamma), draftingMs, elsewhereMs: 0 }, demand);
  });
}

/** How long an edge's round is away from the server, ms. */
export interface EdgeTimes {
  readonly draftMs: number;
  readonly rttMs: number;
}

/** A server whose edges draft, stop-and-wait, at the best draft length. */
export function edgeDraftedCapacity(
  server: ServerTimes,
  edge: EdgeTimes,
  acceptance: number,
  demand: Demand,
): Capacity {
  return bestCapacity((gamma) => {
    const elsewhereMs = gamma * edge.draftMs + edge.rttMs;
    return capacity(server, { ...roundOf(acceptance, gamma), draftingMs: 0, elsewhereMs }, demand);
  });
}

function roundOf(acceptance: number, gamma: number): Pick<Round, "tokens" | "rows"> {
  return { tokens: tokensPerBonusCycle(acceptance, gamma), rows: gamma + 1 };
}

function bestCapacity(at: (gamma: number) => Omit<Capacity, "gamma">): Capacity {
  let best: Capacity = { sessions: 0, batch: 0, gamma: 0 };
  for (let gamma = 1; gamma <= MOST_GAMMA; gamma++) {
    const { sessions, batch } = at(gamma);
    if (sessions > best.sessions) best = { sessions, batch, gamma };
  }
  return best;
}
