import { checkEdgeAtRest } from "./edge-checks.ts";
import { holdIntegrity } from "./hold.ts";
import type { Life } from "./server.ts";
import type { FuzzWorld } from "./world.ts";

/** Once everybody has said goodbye nothing is left, on either side. */
export function checkRest({ servers, edges }: FuzzWorld): void {
  for (const { name, life } of servers) if (life) checkClosed(name, life);
  for (const edge of edges) if (!edge.process.dead) checkEdgeAtRest(edge);
}

/** A cloud that was told to shut down: only a pass may still be under way. */
export function checkClosed(name: string, { cloud }: Life): void {
  holdIntegrity(name, () => cloud.checkIntegrity(true));
}
