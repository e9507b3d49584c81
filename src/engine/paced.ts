import type { Clock } from "../util/clock.ts";
import { SettingError } from "../util/errors.ts";
import { type DraftModel, type PassEngine, type PassItem, rowsOf, withPass } from "./engine.ts";

/**
 * Emulated hardware: an engine that takes at least the time of a profile, so that small models on one machine
 * behave like a large one in a data centre and a small one on a device. Wherever a number was measured this
 * way it says "emulated".
 */
export interface HardwareProfile {
  /** a pass over one token */
  readonly passMs: number;
  /** each row past the free ones in the same pass */
  readonly passMsPerToken: number;
  /** rows that cost nothing more than one does: a GPU is bound by memory up to there */
  readonly passFreeRows: number;
  /** prompt tokens on top of that */
  readonly prefillTokensPerSecond: number;
  /** one token of the drafter */
  readonly draftMs: number;
  readonly draftPrefillTokensPerSecond: number;
}

export const HARDWARE_PROFILES = {
  /** a large model on a shared GPU, a small one on a laptop: the default of the demo */
  standard: {
    passMs: 100,
    passMsPerToken: 0,
    passFreeRows: 1,
    prefillTokensPerSecond: 2000,
    draftMs: 10,
    draftPrefillTokensPerSecond: 1000,
  },
  /** the paper's Qwen3 pair, GSM8K: 32B on an A100, 0.6B on a Jetson AGX (arXiv 2603.19133) */
  "paper-qwen": {
    passMs: 72,
    passMsPerToken: 0,
    passFreeRows: 1,
    prefillTokensPerSecond: 2000,
    draftMs: 24.4,
    draftPrefillTokensPerSecond: 500,
  },
  /** the paper's Llama pair: 70B and 1B on the same machines */
  "paper-llama": {
    passMs: 146,
    passMsPerToken: 0,
    passFreeRows: 1,
    prefillTokensPerSecond: 1000,
    draftMs: 24.4,
    draftPrefillTokensPerSecond: 500,
  },
} as const satisfies Record<string, HardwareProfile>;

/**
 * @throws SettingError that lists the names there are
 * @example
 * import { hardwareNamed } from "picospec";
 *
 * console.log(hardwareNamed("standard").passMs);
 */
export function hardwareNamed(name: string): HardwareProfile {
  if (Object.hasOwn(HARDWARE_PROFILES, name))
    return HARDWARE_PROFILES[name as keyof typeof HARDWARE_PROFILES];
  const names = Object.keys(HARDWARE_PROFILES).join(", ");
  throw new SettingError("hardware", `unknown hardware profile "${name}"; there are ${names}, and off`);
}

/** Time of a pass by the profile, ms. */
export function passTimeMs(
  items: readonly PassItem[],
  profile: Pick<HardwareProfile, "passMs" | "passMsPerToken" | "passFreeRows" | "prefillTokensPerSecond">,
): number {
  let rows = 0;
  let prefill = 0;
  for (const item of items) {
    rows += rowsOf(item);
    prefill += item.tokens.length - rowsOf(item);
  }
  const decodeMs =
    rows > 0 ? profile.passMs + profile.passMsPerToken * Math.max(0, rows - profile.passFreeRows) : 0;
  return decodeMs + (prefill * 1000) / profile.prefillTokensPerSecond;
}

/**
 * Closing it closes the model.
 * @example
 * import { hardwareNamed, pacedTarget, ToyPassEngine, toSeed, VirtualClock } from "picospec";
 *
 * const language = { seed: toSeed(1), vocabularySize: 64, order: 3, spread: 6, divergence: 2, contextTokens: 500 };
 * const clock = new VirtualClock();
 * const model = new ToyPassEngine(language, clock, { kvSlots: 2 });
 * const target = pacedTarget(model, hardwareNamed("standard"), clock);
 * console.log(target.kvSlots);
 */
export function pacedTarget(model: PassEngine, profile: HardwareProfile, clock: Clock): PassEngine {
  return withPass(model, (items, done) => {
    const readyMs = clock.nowMs() + passTimeMs(items, profile);
    model.pass(items, (error, results) => clock.schedule(readyMs, () => done(error, results)));
  });
}

/**
 * Closing it closes the model.
 * @example
 * import { hardwareNamed, pacedDrafter, ToyDraftModel, toSeed, VirtualClock } from "picospec";
 *
 * const language = { seed: toSeed(1), vocabularySize: 64, order: 3, spread: 6, divergence: 2, contextTokens: 500 };
 * const clock = new VirtualClock();
 * const drafter = pacedDrafter(new ToyDraftModel(language, clock), hardwareNamed("standard"), clock);
 * console.log(drafter.info.vocabularySize);
 */
export function pacedDrafter(model: DraftModel, profile: HardwareProfile, clock: Clock): DraftModel {
  return {
    info: model.info,
    feedTokens: model.feedTokens,
    feed(from, tokens, read, done) {
      const prefill = read ? tokens.length - 1 : tokens.length;
      const timeMs = (read ? profile.draftMs : 0) + (prefill * 1000) / profile.draftPrefillTokensPerSecond;
      const readyMs = clock.nowMs() + timeMs;
      model.feed(from, tokens, read, (error) => clock.schedule(readyMs, () => done(error)));
    },
    close: () => model.close(),
  };
}

/** @deprecated since 0.2: `HardwareProfile` */
export type PaceProfile = HardwareProfile;

/** @deprecated since 0.2: `HARDWARE_PROFILES` */
export const PACE_PROFILES = HARDWARE_PROFILES;

/** @deprecated since 0.2: `hardwareNamed` */
export const paceNamed = hardwareNamed;
