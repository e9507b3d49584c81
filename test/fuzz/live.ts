import type { LiveEngine, LiveRequest } from "../../src/engine/live-engine.ts";
import { draws } from "../support/world.ts";
import { picker } from "./faults.ts";
import { planOf, type SessionPlan, type WorldPlan } from "./plan.ts";

/** The same worlds over engines that decode by themselves: they schedule on their own, and drafts are only hints. */

/** What such an engine is like. Plain values. */
export interface LivePlan {
  readonly runs: number;
  readonly stepMs: number;
  readonly offerMs: number;
  /** share of offers that never arrive */
  readonly lostOffers: number;
  /** of each step: it fails */
  readonly fails: number;
  readonly draftTokens: number;
}

/** @param seed of a world, whose draws stay as they are: what is drawn here has a stream of its own */
export function livePlanOf(seed: number): WorldPlan {
  const plan = planOf(seed);
  const random = draws(seed + 0x2_0000_0000);
  const pick = picker(random);
  const live: LivePlan = {
    runs: pick(1, 2, 8),
    stepMs: pick(1, 5, 30),
    offerMs: pick(0, 10, 200),
    lostOffers: pick(0, 0.1, 0.5, 1),
    fails: plan.targetFails.pass,
    draftTokens: pick(1, 4, 8),
  };
  const edges = plan.edges.map((edge) => ({ ...edge, sessions: edge.sessions.map(coupled) }));
  return { ...plan, edges, live };
}

/** Policies that such an engine can serve: it never waits, and has no rows to resample from. */
function coupled(session: SessionPlan): SessionPlan {
  const served = { coupling: "gumbel", exchange: "sparse", bonusToken: false, patienceMs: 0 } as const;
  return { ...session, policy: { ...session.policy, ...served } };
}

/** @param told of a run that fails, which ends its session */
export function watchedLive(engine: LiveEngine, told: (request: LiveRequest) => void): LiveEngine {
  return {
    info: engine.info,
    capabilities: engine.capabilities,
    runs: engine.runs,
    open(request, listener) {
      const kept = { ...request, tokens: request.tokens.slice() };
      return engine.open(request, {
        committed: (step) => listener.committed(step),
        ended: () => listener.ended(),
        failed: (error) => {
          told(kept);
          listener.failed(error);
        },
      });
    },
    close: () => engine.close(),
  };
}
