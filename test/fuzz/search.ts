import { livePlanOf } from "./live.ts";
import { planOf } from "./plan.ts";
import { FuzzWorld } from "./world.ts";

/** Result of a seed. */
export interface Found {
  readonly sessions: number;
  readonly happened: ReadonlyMap<string, number>;
}

/** Engines that the worlds of a search have. */
export type EngineKind = "pass" | "live";

/** @throws Error that names the command which replays the seed, with what did not hold as its cause */
export function trySeed(seed: number, note?: (line: string) => void, kind: EngineKind = "pass"): Found {
  try {
    const plan = kind === "live" ? livePlanOf(seed) : planOf(seed);
    const world = new FuzzWorld(plan, { judges: true, ...(note ? { note } : {}) });
    world.run();
    return { sessions: world.runs.length, happened: world.happened };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const replay = `npm run fuzz -- --seed ${seed}${kind === "live" ? " --live" : ""} --timeline`;
    throw new Error(`seed ${seed}: ${why}; replay it with: ${replay}`, { cause: error });
  }
}
