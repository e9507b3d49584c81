import { beforeAll, describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { encode, frameBytes } from "../../src/protocol/encode.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, type Passed, randomSchedule, tap, World } from "../support/world.ts";

/**
 * What travels in a session of the race, without WebSocket and TLS framing: token ids and nothing else. The bars are
 * exact, so there is no tolerance; policies that send more break them.
 */

const language: ToyLanguage = {
  seed: toSeed(3),
  vocabularySize: 512,
  order: 4,
  spread: 9,
  divergence: 4,
  contextTokens: 400,
};

interface Recorded {
  readonly frames: Passed[];
  readonly uplinkBytes: number;
  readonly downlinkBytes: number;
}

/** Sessions of 60 tokens or so, each under a schedule of its own. */
function record(policy: DecodingPolicy): Recorded[] {
  return Array.from({ length: 12 }, (_, seed) => {
    const frames: Passed[] = [];
    const random = draws(seed);
    const world = new World({ language, schedule: randomSchedule(random), random, link: tap(frames) });
    const run = world.generate(policy, [1, 2, 3], toSeed(seed), 60);
    world.clock.run();
    expect(run.outcome?.kind).toBe("done");
    const { uplinkBytes, downlinkBytes } = run.statistics!;
    return { frames, uplinkBytes, downlinkBytes };
  });
}

/** Most payload of a frame on its way up; with no drafts it is an acknowledgement. */
const uplinkBar = (drafts: number) => 24 + 8 * drafts;
/** Most payload of a verdict; the least one decides a token. */
const downlinkBar = (tokens: number) => 32 + 4 * Math.max(0, tokens - 1);

/** Frames over their bar, of all that carry drafts or verdicts. */
function over(sessions: readonly Recorded[]): { up: number; down: number } {
  const count = { up: 0, down: 0 };
  for (const { frame } of sessions.flatMap(({ frames }) => frames)) {
    if (frame.type === "draft" && frameBytes(frame) > uplinkBar(frame.tokens.length)) count.up++;
    if (frame.type === "verdict" && frameBytes(frame) > downlinkBar(frame.tokens.length)) count.down++;
  }
  return count;
}

describe.each([
  ["race", POLICIES.race],
  ["race, four drafts a frame", { ...POLICIES.race, adaptive: false, segmentTokens: 4, windowTokens: 16 }],
])("%s", (_, policy) => {
  let sessions: Recorded[] = [];
  beforeAll(() => {
    sessions = record(policy);
  });
  const ofType = <T extends Frame["type"]>(type: T) =>
    sessions
      .flatMap(({ frames }) => frames)
      .map(({ frame }) => frame)
      .filter((frame): frame is Extract<Frame, { type: T }> => frame.type === type);

  it("sends at most 8 bytes a drafted token, and 24 a frame", () => {
    expect(over(sessions).up).toBe(0);
    const sizes = new Set(ofType("draft").map(({ tokens }) => tokens.length));
    expect(ofType("draft").length).toBeGreaterThan(200);
    if (policy.segmentTokens > 1) expect(sizes.size).toBeGreaterThan(2);
  });

  it("hears at most 32 bytes for a verdict of one token, and 4 for each more", () => {
    expect(over(sessions).down).toBe(0);
    const sizes = new Set(ofType("verdict").map(({ tokens }) => tokens.length));
    expect(ofType("verdict").length).toBeGreaterThan(200);
    expect(sizes.size).toBeGreaterThan(2);
  });

  it("sends nothing else while it decodes, and counts what it sends", () => {
    for (const { frames: passed, uplinkBytes, downlinkBytes } of sessions) {
      const bytes = { up: 0, down: 0 };
      for (const { way, frame } of passed) {
        expect(frameBytes(frame)).toBe(encode(frame).length);
        if (frame.type === "draft" || frame.type === "verdict") bytes[way] += frameBytes(frame);
        else expect(["hello", "welcome", "open", "done", "ping", "pong"]).toContain(frame.type);
      }
      expect([uplinkBytes, downlinkBytes]).toEqual([bytes.up, bytes.down]);
    }
  });
});

describe("control: the bars are broken", () => {
  it("on the way down by the head and the witnesses of a rejection", () => {
    const { up, down } = over(record(POLICIES.picospec));
    expect([up, down > 100]).toEqual([0, true]);
  });

  it("on the way up by all of q", () => {
    expect(over(record(POLICIES["picospec-no-separate-rejection"])).up).toBeGreaterThan(100);
  });
});
