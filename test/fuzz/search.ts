import { drainPlanOf } from "./drain.ts";
import { livePlanOf } from "./live.ts";
import { planOf } from "./plan.ts";
import { FuzzWorld } from "./world.ts";

/** Result of a seed. */
export interface Found {
  readonly sessions: number;
  readonly happened: ReadonlyMap<string, number>;
}

/** Worlds of a search: over engines that run passes or that decode by themselves, or over replicas that are drained. */
export type EngineKind = "pass" | "live" | "drain";

const PLANS = { pass: planOf, live: livePlanOf, drain: drainPlanOf };

/** @throws Error that names the command which replays the seed, with what did not hold as its cause */
export function trySeed(seed: number, note?: (line: string) => void, kind: EngineKind = "pass"): Found {
  try {
    const plan = PLANS[kind](seed);
    const world = new FuzzWorld(plan, { judges: true, ...(note ? { note } : {}) });
    world.run();
    return { sessions: world.runs.length, happened: world.happened };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const replay = `npm run fuzz -- --seed ${seed}${kind === "pass" ? "" : ` --${kind}`} --timeline`;
    throw new Error(`seed ${seed}: ${why}; replay it with: ${replay}`, { cause: error });
  }
}
