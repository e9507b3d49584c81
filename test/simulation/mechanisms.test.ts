import { afterEach, describe, expect, it, vi } from "vitest";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { SpeculativeKvCache } from "../../src/edge/drafters/speculative-kv-cache.ts";
import type { DraftModel } from "../../src/engine/engine.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import type { DraftFrame, VerdictFrame } from "../../src/protocol/frame.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { draws, type Passed, type Run, type Schedule, steadySchedule, tap, World } from "../support/world.ts";

/** What a draft is asked for with, beside its place. */
const REQUEST = {
  sampler: samplerSettings(),
  coupling: "rejection",
  seed: toSeed(1),
  lineage: 0,
  vocabularySize: 4,
} as const;

/** The paper's pipeline, with sizes that stay as they are. */
const PICOSPEC: DecodingPolicy = { ...POLICIES.picospec, adaptive: false };

/**
 * Every mechanism of the pipeline, under a fake clock: what it is for can be seen in who says what and when, and
 * is gone when the mechanism is switched off. Temperature 0, a round trip of 60 ms unless said otherwise.
 */

/** A drafter that is always right. */
const twins: ToyLanguage = {
  seed: toSeed(5),
  vocabularySize: 24,
  order: Number.POSITIVE_INFINITY,
  spread: 6,
  divergence: 0,
  contextTokens: 400,
};
/** A drafter that is often wrong. */
const strangers: ToyLanguage = { ...twins, divergence: 9 };
const PROMPT = [1, 2, 3, 4, 5, 6];

interface Story {
  readonly run: Run;
  readonly log: Passed[];
  readonly tokenAtMs: number[];
  readonly world: World;
  drafts(): { atMs: number; frame: DraftFrame }[];
  verdicts(): { atMs: number; frame: VerdictFrame }[];
}

interface Setting {
  readonly policy?: DecodingPolicy;
  readonly language?: ToyLanguage;
  readonly schedule?: Schedule;
  readonly prompt?: readonly number[];
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly drafter?: (model: DraftModel) => DraftModel;
}

function tell(setting: Setting): Story {
  const { policy = PICOSPEC, language = twins, schedule = steadySchedule(60, 50, 10) } = setting;
  const { prompt = PROMPT, maxTokens = 40, temperature = 0, drafter } = setting;
  const log: Passed[] = [];
  const tokenAtMs: number[] = [];
  const world = new World({
    language,
    schedule,
    random: draws(1),
    link: tap(log),
    ...(drafter ? { drafter } : {}),
  });
  const run = world.generate(policy, prompt, toSeed(9), maxTokens, {
    sampler: { temperature },
    listener: { token: () => void tokenAtMs.push(world.clock.nowMs()) },
  });
  world.clock.run();
  expect(run.outcome?.kind).toBe("done");
  const ofType = (type: string) => log.filter(({ frame }) => frame.type === type);
  return {
    run,
    log,
    tokenAtMs,
    world,
    drafts: () => ofType("draft") as { atMs: number; frame: DraftFrame }[],
    verdicts: () => ofType("verdict") as { atMs: number; frame: VerdictFrame }[],
  };
}

afterEach(() => {
  vi.restoreAllMocks();
});

// biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
type Broken = any;

describe("Parallel Drafting", () => {
  const sentBeforeVerdict = (story: Story) => {
    const first = story.verdicts()[0]!.atMs;
    return story.drafts().filter(({ atMs, frame }) => atMs < first && frame.tokens.length > 0).length;
  };

  it("sends the next segment while the first is being verified", () => {
    expect(sentBeforeVerdict(tell({}))).toBe(2);
  });

  it("off: the next segment waits for the verdict", () => {
    expect(sentBeforeVerdict(tell({ policy: POLICIES["picospec-no-parallel-drafting"] }))).toBe(1);
  });

  it("is faster where drafts are right", () => {
    const end = (policy: DecodingPolicy) => tell({ policy }).tokenAtMs.at(-1)!;
    expect(end(PICOSPEC)).toBeLessThan(0.75 * end(POLICIES["picospec-no-parallel-drafting"]));
  });
});

describe("the window", () => {
  /** Most drafts that the edge had in flight, told by what it sent and what was decided. */
  const mostInFlight = (story: Story) => {
    let [sent, decided, most] = [PROMPT.length, PROMPT.length, 0];
    for (const { frame } of story.log) {
      if (frame.type === "draft") sent = frame.first + frame.tokens.length;
      else if (frame.type === "verdict") decided = Math.max(decided, frame.first + frame.tokens.length);
      most = Math.max(most, sent - decided);
    }
    return most;
  };
  const slow = steadySchedule(500, 50, 1);

  it("bounds the drafts in flight", () => {
    expect(mostInFlight(tell({ schedule: slow }))).toBe(8);
    expect(mostInFlight(tell({ schedule: slow, policy: { ...PICOSPEC, windowTokens: 20 } }))).toBe(20);
  });

  it("off: the edge drafts on without end, and the cloud refuses more than was agreed", () => {
    const broken: Broken = EdgeSession.prototype;
    vi.spyOn(broken, "mayDraft").mockImplementation(function (this: Broken) {
      return !this.drafting && !this.sequence.draftsStop();
    });
    expect(() => tell({ schedule: slow })).toThrow(/"failed"|'failed'|expected/);
  });
});

describe("Fast Verification", () => {
  const corrections = (story: Story) =>
    story
      .verdicts()
      .filter(({ frame }) => frame.rejection)
      .map(({ atMs, frame }) => {
        const position = frame.first + frame.tokens.length;
        const next = story.drafts().find((draft) => draft.atMs >= atMs && draft.frame.first === position)!;
        return { afterMs: next.atMs - atMs, tokens: next.frame.tokens.length };
      });

  it("sends the correction at once and alone", () => {
    const sent = corrections(tell({ language: strangers }));
    expect(sent.length).toBeGreaterThan(3);
    for (const { afterMs, tokens } of sent) expect([afterMs, tokens]).toEqual([0, 1]);
  });

  it("off: the correction waits for the segment that follows it", () => {
    const policy = POLICIES["picospec-no-fast-verification"];
    const sent = corrections(tell({ language: strangers, policy })).slice(0, -1);
    expect(sent.length).toBeGreaterThan(2);
    expect(Math.min(...sent.map(({ afterMs }) => afterMs))).toBeGreaterThan(0);
  });

  /** Drafts of 30 ms and passes of 50: the correction's row is there long before its drafts are. */
  const slowDrafts = steadySchedule(60, 50, 30);
  /** Judgements that came sooner than a pass takes after their draft had arrived at the cloud. */
  const withoutPass = (story: Story) =>
    story.verdicts().filter(({ atMs, frame }) => {
      const judged = frame.first + frame.tokens.length - (frame.rejection ? 0 : 1);
      const draft = story.drafts().findLast((sent) => sent.frame.first <= judged && sent.atMs < atMs)!;
      return atMs - draft.atMs < 60 + 50;
    }).length;

  it("judges the first draft by a row that was ready when it came", () => {
    expect(withoutPass(tell({ language: strangers, schedule: slowDrafts }))).toBeGreaterThan(3);
  });

  it("off: every verdict takes a pass", () => {
    const policy = POLICIES["picospec-no-fast-verification"];
    expect(withoutPass(tell({ language: strangers, schedule: slowDrafts, policy }))).toBe(0);
  });

  it("does not start a pass on the correction alone when the drafts come before it would be over", () => {
    const passesBetween = (passMs: number) => {
      const passes = vi.spyOn(PassSession.prototype, "plan");
      tell({ language: strangers, schedule: steadySchedule(60, passMs, 10) });
      return passes.mock.results.filter(({ value }) => value.hold && value.questions.length === 0).length;
    };
    expect(passesBetween(15)).toBeGreaterThan(2);
    vi.restoreAllMocks();
    // The prompt's own row is the one.
    expect(passesBetween(200)).toBe(1);
  });
});

/** A window so large that the drafter is never idle. */
const busy: DecodingPolicy = { ...PICOSPEC, segmentTokens: 2, windowTokens: 40 };

describe("Overlapped communication", () => {
  const slowDrafts = steadySchedule(60, 50, 47);
  /** How late rejections were acted on, ms. */
  const reactionMs = (log: readonly Passed[]) =>
    log
      .filter(({ frame }) => frame.type === "verdict" && frame.rejection)
      .map(({ atMs }) => log.find((passed) => passed.way === "up" && passed.atMs >= atMs)!.atMs - atMs);

  it("acts on a verdict at once, while a draft is being made", () => {
    const { log, run } = tell({ language: strangers, schedule: slowDrafts, policy: busy });
    expect(run.statistics!.rollbacks).toBeGreaterThan(3);
    expect(new Set(reactionMs(log))).toEqual(new Set([0]));
  });

  it("off: a drafter that blocks its process makes verdicts wait", () => {
    // What a synchronous drafter does to an event loop: nothing is received until the step is over.
    let busyUntilMs = 0;
    const log: Passed[] = [];
    const world: World = new World({
      language: strangers,
      schedule: slowDrafts,
      random: draws(1),
      drafter: (model) => ({
        ...model,
        feed: (from, tokens, read, done) => {
          busyUntilMs = world.clock.nowMs() + 47;
          model.feed(from, tokens, read, done);
        },
      }),
      link: (transport, clock) => {
        const inner = tap(log)(transport, clock);
        const later = (act: () => void) => void clock.schedule(Math.max(clock.nowMs(), busyUntilMs), act);
        return {
          queuedBytes: 0,
          send: (bytes) => inner.send(bytes),
          close: () => inner.close(),
          start: (handlers) =>
            inner.start({
              closed: (reason) => handlers.closed(reason),
              message: (bytes) => later(() => handlers.message(bytes)),
            }),
        };
      },
    });
    world.generate(busy, PROMPT, toSeed(9), 40, { sampler: { temperature: 0 } });
    world.clock.run();
    const waits = reactionMs(log);
    expect(waits.filter((ms) => ms > 0).length).toBeGreaterThan(waits.length / 2);
  });
});

describe("Interrupt", () => {
  const run = () =>
    tell({ language: strangers, schedule: steadySchedule(60, 50, 10), policy: busy }).run.statistics!;

  it("drops the draft that is being made when a rejection comes", () => {
    const proposed = vi.spyOn(ParallelDrafter.prototype, "propose");
    const { drafted, rollbacks } = run();
    const dropped = proposed.mock.calls.length - drafted;
    expect(rollbacks).toBeGreaterThan(3);
    // The step that was running when the rejection came: begun, and its result never seen.
    expect(dropped).toBeGreaterThan(0);
    expect(dropped).toBeLessThanOrEqual(rollbacks);
  });

  it("off: a draft of the dead lineage breaks the sequence", () => {
    const broken: Broken = EdgeSession.prototype;
    const rollback = broken.rollback;
    vi.spyOn(broken, "rollback").mockImplementation(function (this: Broken, length: Broken) {
      const { drafting, sequence } = this;
      const { version } = sequence;
      rollback.call(this, length);
      sequence.version = version;
      this.drafting = drafting;
    });
    vi.spyOn(ParallelDrafter.prototype, "interrupt").mockImplementation(() => {});
    expect(run).toThrow();
  });

  it("takes a draft that waits out of the queue", () => {
    const fed: number[] = [];
    const model: DraftModel = {
      info: { name: "m", vocabularySize: 4, contextTokens: 100 },
      feedTokens: 10,
      feed: (_, tokens, __, done) => void pending.push([fed.push(tokens.length), done]),
      close() {},
    };
    const pending: [number, (error: null) => void][] = [];
    const drafter = new ParallelDrafter(model);
    const [a, b] = [drafter.newOwner(), drafter.newOwner()];
    const request = (owner: number, length: number) => ({
      owner,
      prefix: () => new Int32Array(length),
      ...REQUEST,
      done: vi.fn(),
    });
    const [running, waiting] = [request(a, 3), request(b, 5)];
    drafter.propose(running);
    drafter.propose(waiting);
    drafter.interrupt(b, 0);
    pending.shift()![1](null);
    expect([fed, running.done.mock.calls.length, waiting.done.mock.calls.length]).toEqual([[3], 1, 0]);
  });

  it("stops between two feeds of a long prompt", () => {
    const fed: number[] = [];
    const pending: [number, (error: null) => void][] = [];
    const model: DraftModel = {
      info: { name: "m", vocabularySize: 4, contextTokens: 100 },
      feedTokens: 10,
      feed: (from, _, __, done) => void pending.push([fed.push(from), done]),
      close() {},
    };
    const drafter = new ParallelDrafter(model);
    const owner = drafter.newOwner();
    const done = vi.fn();
    drafter.propose({ ...REQUEST, owner, prefix: () => new Int32Array(45), done });
    pending.shift()![1](null);
    drafter.interrupt(owner, 12);
    pending.shift()![1](null);
    expect([fed, pending.length, done.mock.calls.length]).toEqual([[0, 10], 0, 0]);
  });
});

describe("Latency-aware truncation", () => {
  const slow = steadySchedule(60, 50, 60);
  const sizes = (story: Story) => story.drafts().map(({ frame }) => frame.tokens.length);

  it("sends what there is when a segment takes longer than it should", () => {
    const story = tell({ schedule: slow, policy: { ...PICOSPEC, truncateAfterMs: 130 } });
    expect(Math.max(...sizes(story))).toBeLessThan(4);
    expect(story.tokenAtMs[0]).toBeLessThan(tell({ schedule: slow }).tokenAtMs[0]! - 50);
  });

  it("off: the whole segment is waited for", () => {
    const story = tell({ schedule: slow });
    expect(sizes(story)[0]).toBe(4);
    expect(story.tokenAtMs[0]).toBeGreaterThan(4 * 60);
  });
});

describe("Latency-aware rollback", () => {
  const fedTokens = (setting: Setting = {}) => {
    let fed = 0;
    const counting = (model: DraftModel): DraftModel => ({
      ...model,
      feed: (from, tokens, read, done) => {
        fed += tokens.length;
        model.feed(from, tokens, read, done);
      },
    });
    const { run } = tell({ language: strangers, drafter: counting, ...setting });
    return { fed, statistics: run.statistics! };
  };

  it("truncates the drafter's KV and never computes the prefix again", () => {
    const { fed, statistics } = fedTokens();
    expect(statistics.rollbacks).toBeGreaterThan(3);
    // The prompt, every draft that was begun, and every correction: once each.
    expect(fed).toBeLessThanOrEqual(PROMPT.length + statistics.drafted + 2 * statistics.rollbacks);
  });

  it("off: dropping all of the KV at a rollback costs the prefix every time", () => {
    const { rollback } = SpeculativeKvCache.prototype;
    vi.spyOn(SpeculativeKvCache.prototype, "rollback").mockImplementation(function (
      this: Broken,
      owner,
      length,
    ) {
      rollback.call(this, owner, Number.isFinite(length) ? 0 : length);
    });
    const { fed, statistics } = fedTokens();
    expect(fed).toBeGreaterThan(2 * (PROMPT.length + statistics.drafted + 2 * statistics.rollbacks));
  });
});

describe("Separate rejection sampling", () => {
  const bytes = (policy: DecodingPolicy) => {
    const language = { ...strangers, vocabularySize: 512, spread: 12 };
    const { uplinkBytes, downlinkBytes, tokens } = tell({ language, policy, temperature: 1 }).run.statistics!;
    return { up: uplinkBytes / tokens, down: downlinkBytes / tokens };
  };

  it("exchanges O(K) bytes; off: a row of the vocabulary travels", () => {
    const sparse = bytes(PICOSPEC);
    expect(sparse.up).toBeLessThan(150);
    expect(sparse.down).toBeLessThan(200);
    expect(bytes(POLICIES["picospec-no-separate-rejection"]).up).toBeGreaterThan(4 * 512);
    expect(bytes({ ...PICOSPEC, exchange: "denseDown" }).down).toBeGreaterThan(2 * 512);
  });
});

describe("a drafter whose context ends", () => {
  it("hands over to the cloud, which goes on alone", () => {
    const short = (model: DraftModel): DraftModel => ({
      ...model,
      info: { ...model.info, contextTokens: 20 },
    });
    for (const policy of [PICOSPEC, POLICIES.vanilla]) {
      const story = tell({ language: strangers, drafter: short, policy });
      expect(story.run.tokens).toEqual(tell({ language: strangers }).run.tokens);
      expect(story.run.origins.slice(20).every((origin) => origin === "target")).toBe(true);
      expect(story.drafts().some(({ frame }) => frame.final)).toBe(true);
    }
  });
});

describe("run-ahead", () => {
  it("stops the cloud when the edge says nothing more of what it read", () => {
    const language = { ...twins, contextTokens: 4000, spread: 0.01 };
    const acknowledged = tell({ policy: POLICIES.cloud, language, maxTokens: 900, temperature: 1 });
    expect(acknowledged.drafts().every(({ frame }) => frame.tokens.length === 0)).toBe(true);
    const deaf: Broken = EdgeSession.prototype;
    vi.spyOn(deaf, "send").mockImplementation(() => {});
    const log: Passed[] = [];
    const world = new World({
      language,
      schedule: steadySchedule(60, 5, 1),
      random: draws(1),
      link: tap(log),
    });
    const sampler = { temperature: 1, logitBias: [[0, -1000]] as [number, number][] };
    const run = world.generate(POLICIES.cloud, PROMPT, toSeed(9), 900, { sampler });
    world.clock.run(60_000);
    expect(run.tokens.length).toBe(256);
  });
});
