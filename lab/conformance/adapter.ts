import type { DraftModel, PassEngine } from "../../src/engine/engine.ts";
import type { LiveEngine } from "../../src/engine/live-engine.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import type { Clock } from "../../src/util/clock.ts";

export type Engine = PassEngine | LiveEngine;

/** An engine under test: how to make one, and what is known of its model. */
export interface Adapter {
  readonly name: string;
  readonly clock: Clock;
  /** A fresh engine, which the suite closes; it serves two sessions at a time, or more. */
  target(): Promise<Engine>;
  /** A fresh drafter over the same vocabulary, which the suite closes; it agrees with the target more often than not. */
  drafter(): Promise<DraftModel>;
  readonly endTokens: readonly number[];
  /** Int32Array[n] each, of different lengths; three or more */
  readonly prompts: readonly Int32Array[];
  /** of an answer */
  readonly maxTokens: number;
  /**
   * The target's own distribution after a prompt, Float32Array[V], worked out without the engine's interface; null:
   * it is not known, and the distribution is not tested.
   */
  distribution(prompt: Int32Array, sampler: SamplerSettings): Promise<Float32Array> | null;
  /** sessions of the test of the distribution */
  readonly samples: number;
  /** Lets the engine work until something is so. @throws when it never is */
  until(done: () => boolean): Promise<void>;
}

export function isLive(engine: Engine): engine is LiveEngine {
  return "open" in engine;
}

/** An engine does not keep to the contract. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError";
}

export function expectThat(condition: boolean, message: string): void {
  if (!condition) throw new ConformanceError(message);
}
