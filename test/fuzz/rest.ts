import { checkEdgeAtRest } from "./edge-checks.ts";
import { hold } from "./hold.ts";
import type { Inside } from "./invariants.ts";
import type { Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/** Once everybody has said goodbye nothing is left, on either side. */
export function checkRest({ servers, edges }: FuzzWorld): void {
  for (const { name, life } of servers) if (life) checkIdle(name, life);
  for (const edge of edges) if (!edge.process.dead) checkEdgeAtRest(edge);
}

/** A cloud that was told to shut down: only a pass may still be under way. */
export function checkClosed(name: string, life: Life): void {
  const { members }: Inside = (life.cloud as Inside).handler.table;
  if (members === null) checkIdle(name, life);
}

/** A cloud without connections. */
function checkIdle(name: string, { cloud }: Life): void {
  const { handler, links, verifier }: Inside = cloud;
  const { table, helloByMs } = handler;
  const { byKey, byConnection, bySecret, leaving, kv } = table;
  const left = {
    sessions: byKey.size,
    connections: byConnection.size + helloByMs.size,
    links: links.size,
    secrets: bySecret.size,
    leaving: leaving.size,
    rows: verifier.rows.size,
    sequences: kv.slots.filter(({ owner }: Inside) => owner !== null).length,
    passes: table.members === null ? 0 : 1,
  };
  const nothing = Object.values(left).every((count) => count === 0);
  hold(nothing, "rest", () => `${name} is left with ${JSON.stringify(left)}`);
}
