import { draws } from "../support/world.ts";
import { picker } from "./faults.ts";
import { planOf, type ServerEvent, type WorldPlan } from "./plan.ts";

/**
 * The same worlds over several servers that are drained, one after the other or all at once: each says goAway, takes no
 * new connection, and ends what is left when its time is over. Edges know the servers as replicas.
 */

/** @param seed of a world, whose draws stay as they are: what is drawn here has a stream of its own */
export function drainPlanOf(seed: number): WorldPlan {
  const plan = planOf(seed);
  const random = draws(seed + 0x3_0000_0000);
  const pick = picker(random);
  const drain = (): ServerEvent => ({
    kind: "drain",
    atMs: plan.faultsUntilMs * random() * pick(0.1, 0.3, 1),
    withinMs: pick(0, 100, 1000, 5000),
    downMs: pick(0, 300, 3000),
  });
  const count = Math.max(plan.servers.length, pick(2, 3));
  const servers = Array.from({ length: count }, (_, i) => {
    const drains = Array.from({ length: pick(0, 1, 1, 3) }, drain);
    return [...(plan.servers[i] ?? []), ...drains].sort((a, b) => a.atMs - b.atMs);
  });
  const edges = plan.edges.map((edge) => ({ ...edge, homeServer: edge.homeServer % count, faithful: false }));
  return { ...plan, servers, edges, replicas: true };
}
