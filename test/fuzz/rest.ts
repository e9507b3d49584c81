import type { FuzzEdge } from "./edge.ts";
import { hold } from "./hold.ts";
import { type Inside, integrity } from "./invariants.ts";
import type { Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/** Once everybody has said goodbye nothing is left, on either side. */
export function checkRest({ servers, edges }: FuzzWorld): void {
  for (const { name, life } of servers) if (life) checkClosed(name, life);
  for (const edge of edges) if (!edge.process.dead) checkEdgeAtRest(edge);
}

/** A cloud that was told to shut down: only a pass may still be under way. */
export function checkClosed(name: string, { cloud }: Life): void {
  integrity(name, () => cloud.checkIntegrity(true));
}

function checkEdgeAtRest({ client, model, drafter, name, link }: FuzzEdge): void {
  const { waiting, current, busy }: Inside = model;
  const { lookups, fellAt }: Inside = drafter;
  const left = {
    sessions: (client as Inside)?.sessions.size ?? 0,
    drafts: waiting.length + (current ? 1 : 0) + (busy ? 1 : 0),
    links: link?.edge.isOpen ? 1 : 0,
    lookups: (lookups?.byOwner.size ?? 0) + (fellAt?.size ?? 0),
  };
  const nothing = Object.values(left).every((count) => count === 0);
  hold(nothing, "rest", () => `${name} is left with ${JSON.stringify(left)}`);
}
