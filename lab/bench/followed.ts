import { POLICIES } from "../../src/decoding/policy.ts";
import { RealWorld } from "./real-world.ts";

/**
 * How soon drafting follows a target that changes in mid-run: real models, sockets and time; the hardware is emulated, so that
 * it can change. Where a pass takes less than a draft, drafts come too late and rest; where it takes many, they pay.
 */

export interface FollowedOptions {
  readonly targetFile: string;
  readonly drafterFile: string;
  readonly prompts: readonly string[];
  readonly temperature: number;
  readonly progress: (fraction: number) => void;
}

/** Tokens from a change of the target until drafts are judged at most places, or at next to none: medians and the most. */
export interface Followed {
  readonly begun: readonly number[];
  readonly rested: readonly number[];
}

/** Passes as they are at first, and as they become. */
export const CHANGED_PASSES_MS = [4, 60] as const;
const DRAFT_MS = 6;
const CHANGES = 6;
/** Places in a row that show which way it is, and shares of them at which a draft was judged. */
const SHOWN = 20;
const MOST_DRAFTED = 0.5;
const HARDLY_DRAFTED = 0.15;
const MOST_TOKENS = 600;
/** After a change is followed, so much more in that world. */
const SETTLED_TOKENS = 200;

/** @throws PicoSpecError when an answer fails */
export async function benchFollowed(options: FollowedOptions): Promise<Followed> {
  const { targetFile, drafterFile, prompts, temperature, progress } = options;
  const [fastMs, slowMs] = CHANGED_PASSES_MS;
  const world = await RealWorld.open(
    { rttMs: 0, passMs: fastMs, draftMs: DRAFT_MS },
    targetFile,
    drafterFile,
  );
  let asked = 0;
  /** @returns places of one answer after the other, until `enough` says so */
  const go = async (enough: (places: readonly number[]) => boolean): Promise<number[]> => {
    const places: number[] = [];
    while (!enough(places)) {
      const prompt = prompts[asked % prompts.length]!;
      const { trace } = await world.answer(POLICIES.race, prompt, asked++, temperature);
      places.push(...trace);
    }
    return places;
  };
  const [begun, rested]: [number[], number[]] = [[], []];
  try {
    await go((places) => places.length >= 2 * SETTLED_TOKENS);
    for (let change = 0; change < CHANGES; change++) {
      for (const [passMs, told, isThere] of [
        [slowMs, begun, (share: number) => share >= MOST_DRAFTED],
        [fastMs, rested, (share: number) => share <= HARDLY_DRAFTED],
      ] as const) {
        world.passesTake(passMs);
        const at = (places: readonly number[]) => followedAt(places, isThere);
        const places = await go((all) => at(all) >= 0 || all.length >= MOST_TOKENS);
        told.push(at(places) < 0 ? MOST_TOKENS : at(places));
        await go((all) => all.length >= SETTLED_TOKENS);
      }
      progress((change + 1) / CHANGES);
    }
  } finally {
    await world.close();
  }
  return { begun, rested };
}

/** The first place from which it is so; -1: none. */
function followedAt(places: readonly number[], isThere: (share: number) => boolean): number {
  for (let at = 0; at + SHOWN <= places.length; at++) {
    const judged = places.slice(at, at + SHOWN).filter((flag) => flag >= 0).length;
    if (isThere(judged / SHOWN)) return at;
  }
  return -1;
}
