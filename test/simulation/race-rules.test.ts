import { describe, expect, it, vi } from "vitest";
import type { CloudEffect } from "../../src/cloud/core/machine.ts";
import { RequestHandler } from "../../src/cloud/core/request-handler.ts";
import type { PassEffect, PassEvent } from "../../src/cloud/passes/machine.ts";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { PassSessions } from "../../src/cloud/passes/sessions.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings, StopRule } from "../../src/decoding/session.ts";
import type { EdgeEffect, EdgeEvent } from "../../src/edge/core/machine.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import { ROW_CAPABILITIES } from "../../src/engine/capabilities.ts";
import type { DraftModel } from "../../src/engine/engine.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import type { DraftFrame, Frame, OpenFrame, VerdictFrame } from "../../src/protocol/frame.ts";
import { wireLink } from "../../src/protocol/link.ts";
import type { Proposal } from "../../src/sampling/propose.ts";
import type { Answer } from "../../src/sampling/question.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import type { Transport, TransportHandlers } from "../../src/transport/transport.ts";
import { TARGET } from "../support/target.ts";
import {
  draws,
  END_TOKEN,
  type Passed,
  randomSchedule,
  steadySchedule,
  tap,
  World,
} from "../support/world.ts";

/** The rules of the race (docs/architecture.md), one by one, on the machines that ship. */

/** With sizes and moments that stay as they are. */
const RACE: DecodingPolicy = { ...POLICIES.race, adaptive: false };
const PROMPT = [1, 2, 3];

function settingsOf(policy: DecodingPolicy, maxTokens: number): SessionSettings {
  return { policy, sampler: samplerSettings({ temperature: 0 }), seed: toSeed(1), maxTokens };
}

function ruleOf(maxTokens: number, contextTokens: number): StopRule {
  return { promptLength: PROMPT.length, maxTokens, contextTokens, endTokens: new Set([END_TOKEN]) };
}

const ACCEPTED: Answer = { kind: "accepted" };
const says = (token: number): Answer => ({ kind: "token", token });

/** A session on the cloud, spoken to frame by frame and pass by pass. */
class CloudSide {
  readonly session: PassSession;
  nowMs = 0;
  private resident = 0;

  constructor(policy: DecodingPolicy = RACE, maxTokens = 1000, contextTokens = 2000) {
    const identity = {
      key: 1,
      connection: 1,
      weight: 1,
      isKeyed: false,
      principal: "one",
      id: 1,
      secret: null,
      resumeKey: null,
      epoch: 0,
    };
    const rule = ruleOf(maxTokens, contextTokens);
    const settings = settingsOf(policy, maxTokens);
    const opening = {
      identity,
      settings,
      rule,
      vocabularySize: 100,
      lineage: 0,
      grammar: null,
      resumed: null,
    };
    this.session = new PassSession({ ...opening, tokens: Int32Array.from(PROMPT) }, 0);
  }

  drafts(
    lineage: number,
    first: number,
    tokens: readonly number[],
    committedThrough = first,
  ): CloudEffect<PassEffect>[] {
    const out: CloudEffect<PassEffect>[] = [];
    this.session.draft(draftFrame(lineage, first, tokens, committedThrough), this.nowMs, out);
    return out;
  }

  /** What the pass that starts now is fed, and the drafts that it judges. */
  start(): { tokens: number[]; judged: number[] } {
    const { from, tokens, questions } = this.session.plan(1000, 1000, 0);
    this.resident = from + tokens.length;
    const judged = questions.flatMap((question) => (question.ask === "decide" ? [question.draft] : []));
    expect(questions).toHaveLength(judged.length + 1);
    return { tokens: [...tokens], judged };
  }

  /** The frames that its end brings. */
  end(...answers: Answer[]): Frame[] {
    const out: CloudEffect<PassEffect>[] = [];
    const outcome = { session: 1, answers, held: false, resident: this.resident, failure: null };
    this.session.passEnded(outcome, 10, true, this.nowMs, out);
    return out.flatMap((effect) => (effect.kind === "send" ? [effect.frame] : []));
  }

  pass(...answers: Answer[]): Frame[] {
    this.start();
    return this.end(...answers);
  }
}

function draftFrame(
  lineage: number,
  first: number,
  tokens: readonly number[],
  committedThrough: number,
): DraftFrame {
  const base = { type: "draft", session: 1, final: false, q: { kind: "none" } } as const;
  return { ...base, lineage, first, committedThrough, tokens: Int32Array.from(tokens) };
}

function verdictFrame(first: number, tokens: readonly number[], lineage = 0): VerdictFrame {
  return { type: "verdict", session: 1, lineage, first, tokens: Int32Array.from(tokens), rejection: null };
}

/** Under Gumbel coupling, where q has no part. */
function proposalOf(token: number): Proposal {
  return { token, q: 1, distribution: null };
}

const verdicts = (frames: readonly Frame[]) =>
  frames.flatMap((frame) => (frame.type === "verdict" ? [[frame.first, ...frame.tokens]] : []));

/** A session on the edge: every draft that it asks for can be given, at once or later. */
class EdgeSide {
  readonly session: EdgeSession;
  asked: Extract<EdgeEffect, { kind: "draft" }> | null = null;

  constructor(policy: DecodingPolicy = RACE, maxTokens = 1000) {
    const rule = ruleOf(maxTokens, 2000);
    const reach = { contextTokens: 2000, vocabularySize: 100 };
    this.session = new EdgeSession({
      ...{ id: 1, secret: null, settings: settingsOf(policy, maxTokens), prompt: Int32Array.from(PROMPT) },
      ...{ rule, drafter: reach, vocabularySize: 100 },
    });
    this.handle({ kind: "start" });
  }

  handle(event: EdgeEvent): readonly EdgeEffect[] {
    const effects = this.session.handle(event, 0);
    for (const effect of effects) if (effect.kind === "draft") this.asked = effect;
    return effects;
  }

  /** The drafter gives these, one after the other. */
  drafts(...tokens: number[]): EdgeEffect[] {
    return tokens.flatMap((token) => {
      const { version, position } = this.asked!;
      return this.handle({ kind: "drafted", version, position, proposal: proposalOf(token) });
    });
  }

  hears(first: number, tokens: readonly number[], lineage = 0): readonly EdgeEffect[] {
    return this.handle({ kind: "frame", frame: verdictFrame(first, tokens, lineage) });
  }

  /** All that is committed or drafted. */
  text(): number[] {
    const { session } = this;
    return [...session.prefix(this.asked!.position)];
  }
}

const ofKind = <K extends EdgeEffect["kind"]>(effects: readonly EdgeEffect[], kind: K) =>
  effects.filter((effect): effect is Extract<EdgeEffect, { kind: K }> => effect.kind === kind);
const draftFrames = (effects: readonly EdgeEffect[]) =>
  ofKind(effects, "send").flatMap(({ frame }) => (frame.type === "draft" ? [frame] : []));
const sent = (effects: readonly EdgeEffect[]) =>
  draftFrames(effects).map(({ lineage, first, tokens }) => [lineage, first, ...tokens]);
const emitted = (effects: readonly EdgeEffect[]) =>
  ofKind(effects, "emit").map(({ token, origin }) => [token, origin]);

describe("1. the cloud decodes from its committed sequence", () => {
  /** The prompt was fed, and 10 came of it; 11 and 12 are pending. */
  const withDrafts = () => {
    const cloud = new CloudSide();
    cloud.pass(says(10));
    cloud.drafts(0, 3, [10, 11, 12]);
    return cloud;
  };

  it("a pass takes the last committed token and the pending drafts that continue it", () => {
    expect(withDrafts().start()).toEqual({ tokens: [10, 11, 12], judged: [11, 12] });
    const without = new CloudSide();
    without.pass(says(10));
    expect(without.start()).toEqual({ tokens: [10], judged: [] });
  });

  it("it commits the drafts that agree and the correction, and streams them at once", () => {
    expect(verdicts(withDrafts().pass(ACCEPTED, says(20)))).toEqual([[4, 11, 20]]);
    expect(verdicts(withDrafts().pass(says(20)))).toEqual([[4, 20]]);
  });

  it("or the next token when all of them agreed", () => {
    expect(verdicts(withDrafts().pass(ACCEPTED, ACCEPTED, says(13)))).toEqual([[4, 11, 12, 13]]);
  });

  it("it does not wait for drafts: the next pass may start at once", () => {
    const cloud = new CloudSide();
    for (let token = 10; token < 20; token++) {
      expect(cloud.session.work(cloud.nowMs).need).toBe("now");
      expect(verdicts(cloud.pass(says(token)))).toEqual([[token - 7, token]]);
    }
  });

  it("what arrived during the pass is compared with what it commits: equal drafts are consumed", () => {
    const cloud = withDrafts();
    cloud.start();
    cloud.drafts(0, 6, [13, 14, 15]);
    cloud.end(ACCEPTED, ACCEPTED, says(13));
    // 13 is the last token of the pass and the first of the drafts.
    expect(cloud.start()).toEqual({ tokens: [13, 14, 15], judged: [14, 15] });
  });

  it("a difference kills the lineage and drops its pending drafts, also within the pass", () => {
    const cloud = withDrafts();
    cloud.start();
    cloud.drafts(0, 6, [13, 14, 15]);
    cloud.end(ACCEPTED, ACCEPTED, says(33));
    expect(cloud.start()).toEqual({ tokens: [33], judged: [] });
    cloud.drafts(0, 9, [16]);
    cloud.end(says(34));
    expect(cloud.start()).toEqual({ tokens: [34], judged: [] });
  });
});

describe("2. a draft frame says its lineage, its first position and its tokens", () => {
  it("and the edge's do", () => {
    const edge = new EdgeSide({ ...RACE, segmentTokens: 2 });
    expect(sent(edge.drafts(10, 11, 12, 13))).toEqual([
      [0, 3, 10, 11],
      [0, 5, 12, 13],
    ]);
  });

  it("a lineage starts only at a position that the edge knows to be committed", () => {
    let lineages = 0;
    for (let seed = 0; seed < 200; seed++) {
      const log: Passed[] = [];
      const random = draws(seed);
      const world = new World({
        language: language(seed, 6),
        schedule: randomSchedule(random),
        random,
        link: tap(log),
      });
      world.generate(RACE, PROMPT, toSeed(seed), 30);
      world.clock.run();
      let newest = 0;
      for (const { frame } of log) {
        if (frame.type !== "draft" || frame.lineage === newest) continue;
        expect(frame.lineage).toBe(newest + 1);
        expect(frame.first).toBeLessThanOrEqual(frame.committedThrough);
        newest = frame.lineage;
        lineages++;
      }
    }
    expect(lineages).toBeGreaterThan(500);
  });

  const pending = () => {
    const cloud = new CloudSide();
    cloud.pass(says(10));
    cloud.drafts(0, 4, [11, 12]);
    return cloud;
  };

  it("a newer lineage discards what is pending of older ones", () => {
    const cloud = pending();
    cloud.drafts(1, 4, [21]);
    expect(cloud.start()).toEqual({ tokens: [10, 21], judged: [21] });
  });

  it("frames of an older lineage are dropped", () => {
    const cloud = pending();
    cloud.drafts(2, 4, [21]);
    cloud.drafts(0, 6, [13, 14]);
    cloud.drafts(1, 4, [31]);
    expect(cloud.start()).toEqual({ tokens: [10, 21], judged: [21] });
  });

  it("frames of a dead lineage are dropped, whatever they say", () => {
    const cloud = pending();
    cloud.pass(says(20));
    cloud.drafts(0, 6, [13, 14]);
    cloud.drafts(0, 4, [20, 21]);
    expect(cloud.start()).toEqual({ tokens: [20], judged: [] });
  });

  it("drafts for committed positions are compared: equal is fine", () => {
    const cloud = new CloudSide();
    for (const token of [10, 11, 12]) cloud.pass(says(token));
    cloud.drafts(0, 3, [10, 11, 12, 13], 3);
    expect(cloud.start()).toEqual({ tokens: [12, 13], judged: [13] });
  });

  it("and different kills the lineage, with the rest of the frame", () => {
    const cloud = new CloudSide();
    for (const token of [10, 11, 12]) cloud.pass(says(token));
    cloud.drafts(0, 3, [10, 21, 22, 23], 3);
    cloud.drafts(0, 7, [24], 3);
    expect(cloud.start()).toEqual({ tokens: [12], judged: [] });
    cloud.end(says(13));
    cloud.drafts(1, 7, [14], 7);
    expect(cloud.start()).toEqual({ tokens: [13, 14], judged: [14] });
  });

  it("a first position past what is committed and pending is a protocol error", () => {
    expect(() => pending().drafts(0, 7, [13])).toThrow(/drafts start at 7, but 6 is next/);
    expect(() => pending().drafts(1, 5, [13])).toThrow(/drafts start at 5, but 4 is next/);
    expect(() => pending().drafts(0, 6, [13])).not.toThrow();
  });
});

describe("3. verdicts are never stale", () => {
  it("the edge applies every verdict by position, whatever lineage it carries", () => {
    for (const lineage of [0, 1, 7]) {
      const edge = new EdgeSide();
      edge.drafts(10, 11);
      edge.hears(3, [20]);
      edge.drafts(21, 22);
      edge.hears(4, [30]);
      // Two lineages on; what the cloud says of the first or of none at all counts as much.
      expect(emitted(edge.hears(5, [31, 32], lineage))).toEqual([
        [31, "target"],
        [32, "target"],
      ]);
      expect(edge.text()).toEqual([...PROMPT, 20, 30, 31, 32]);
    }
  });

  it("what it has been told before changes nothing, and a change of mind or a gap ends the session", () => {
    const heard = () => {
      const edge = new EdgeSide();
      edge.hears(3, [20, 21]);
      return edge;
    };
    expect(emitted(heard().hears(3, [20, 21, 22]))).toEqual([[22, "target"]]);
    const failures = [heard().hears(4, [31]), heard().hears(6, [22])].map(
      (effects) => ofKind(effects, "finished")[0],
    );
    for (const failure of failures)
      expect(failure?.outcome).toMatchObject({ kind: "failed", code: "bad_verdict" });
  });
});

describe("4. the edge follows the cloud", () => {
  it("where a verdict agrees with its drafts it goes on without a rollback", () => {
    const edge = new EdgeSide();
    edge.drafts(10, 11, 12, 13);
    const effects = edge.hears(3, [10, 11]);
    expect(emitted(effects)).toEqual([
      [10, "draft"],
      [11, "draft"],
    ]);
    expect(ofKind(effects, "rollback")).toEqual([]);
    expect(sent(edge.drafts(14))).toEqual([[0, 7, 14]]);
  });

  it("where it differs it truncates to the committed prefix and starts a new lineage there", () => {
    const edge = new EdgeSide();
    edge.drafts(10, 11, 12, 13);
    const effects = edge.hears(3, [10, 21]);
    expect(ofKind(effects, "rollback")).toEqual([
      { kind: "rollback", length: 4, discarded: Int32Array.of(11, 12, 13) },
    ]);
    expect(ofKind(effects, "draft")).toMatchObject([{ position: 5, lineage: 1 }]);
    expect(edge.text()).toEqual([...PROMPT, 10, 21]);
    expect(sent(edge.drafts(30))).toEqual([[1, 5, 30]]);
  });

  it("where the cloud is ahead it feeds the committed tokens to its model first", () => {
    const fed: [number, number[]][] = [];
    const log: Passed[] = [];
    // Passes of 10 ms and drafts of 45: the cloud commits four tokens in the time of a draft.
    const world = new World({
      language: language(5, 0),
      schedule: steadySchedule(0, 10, 45),
      random: draws(1),
      link: tap(log),
      drafter: (model) => ({
        ...model,
        feed: (from, tokens, read, done) => {
          fed.push([from, [...tokens]]);
          model.feed(from, tokens, read, done);
        },
      }),
    });
    const run = world.generate(RACE, PROMPT, toSeed(1), 40, { sampler: ENDLESS });
    world.clock.run();
    const text = [...PROMPT, ...run.tokens];
    const late = fed.filter(([from, tokens]) => from > PROMPT.length && tokens.length > 1);
    expect(late.length).toBeGreaterThan(5);
    // Always what is committed, never a token twice, never one missed.
    let next = 0;
    for (const [from, tokens] of fed) {
      expect(from).toBeLessThanOrEqual(next);
      expect(tokens).toEqual(text.slice(from, from + tokens.length));
      next = from + tokens.length;
    }
  });

  it("a draft that was not sent and differs is discarded without a new lineage", () => {
    const edge = new EdgeSide({ ...RACE, segmentTokens: 4 });
    edge.drafts(10, 11);
    const effects = edge.hears(3, [20]);
    expect(ofKind(effects, "rollback")).toMatchObject([{ length: 3 }]);
    expect(ofKind(effects, "draft")).toMatchObject([{ position: 4, lineage: 0 }]);
    expect(sent(edge.drafts(21, 22, 23, 24))).toEqual([[0, 4, 21, 22, 23, 24]]);
  });
});

describe("5. a draft step runs by itself", () => {
  it("its result is dropped when the sequence has moved on", () => {
    const edge = new EdgeSide();
    const { version, position } = edge.asked!;
    edge.hears(3, [20]);
    expect(edge.asked!.version).toBeGreaterThan(version);
    expect(edge.handle({ kind: "drafted", version, position, proposal: proposalOf(10) })).toEqual([]);
    expect(edge.text()).toEqual([...PROMPT, 20]);
    expect(sent(edge.drafts(21))).toEqual([[0, 4, 21]]);
  });

  it("truncation queues behind it: the step that runs ends first", () => {
    const feeds: [number, number[], () => void][] = [];
    const model: DraftModel = {
      info: { name: "m", vocabularySize: 100, contextTokens: 100 },
      feedTokens: 10,
      feed: (from, tokens, _, done) => void feeds.push([from, [...tokens], () => done(null)]),
      close() {},
    };
    const drafter = new ParallelDrafter(model);
    const owner = drafter.newOwner();
    const request = (...prefix: number[]) => {
      const { sampler, seed } = settingsOf(RACE, 10);
      const asked = { owner, sampler, seed, coupling: "gumbel", lineage: 0, vocabularySize: 100 } as const;
      const done = vi.fn((_error: unknown, _proposal: Proposal | null) => {});
      return { ...asked, prefix: () => Int32Array.from(prefix), done };
    };
    const overtaken = request(1, 2, 3, 4, 5);
    drafter.propose(overtaken);
    drafter.interrupt(owner, 3);
    const next = request(1, 2, 3, 20);
    drafter.propose(next);
    expect(feeds.map(([from]) => from)).toEqual([0]);
    feeds[0]![2]();
    expect(feeds.map(([from, tokens]) => [from, tokens])).toEqual([
      [0, [1, 2, 3, 4, 5]],
      [3, [20]],
    ]);
    feeds[1]![2]();
    expect([overtaken.done.mock.calls.length, next.done.mock.calls.length]).toEqual([0, 1]);
  });
});

describe("6. commits stop where the text does", () => {
  const done = (frames: readonly Frame[]) =>
    frames.flatMap((frame) => (frame.type === "done" ? [frame.reason] : []));

  it("at the first end token, whatever was drafted behind it", () => {
    const cloud = new CloudSide();
    cloud.pass(says(10));
    cloud.drafts(0, 4, [11, END_TOKEN, 13]);
    const frames = cloud.pass(ACCEPTED, ACCEPTED, ACCEPTED, says(14));
    expect([verdicts(frames), done(frames)]).toEqual([[[4, 11, END_TOKEN]], ["end"]]);
  });

  it("at an end token that corrects a draft", () => {
    const cloud = new CloudSide();
    cloud.pass(says(10));
    cloud.drafts(0, 4, [11, 12]);
    const frames = cloud.pass(says(END_TOKEN));
    expect([verdicts(frames), done(frames)]).toEqual([[[4, END_TOKEN]], ["end"]]);
  });

  it.each([
    ["tokens", new CloudSide(RACE, 3), "length"],
    ["context", new CloudSide(RACE, 1000, 6), "context"],
  ])("at the limit of %s, and no row is computed past it", (_, cloud, reason) => {
    cloud.pass(says(10));
    cloud.drafts(0, 4, [11, 12]);
    const { questions } = cloud.session.plan(1000, 1000, 0);
    expect(questions).toHaveLength(2);
    const frames = cloud.end(ACCEPTED, ACCEPTED);
    expect([verdicts(frames), done(frames)]).toEqual([[[4, 11, 12]], [reason]]);
    expect(() => new CloudSide(RACE, 3).drafts(0, 3, [10, 11, 12, 13])).toThrow(/past the limit of 6/);
  });

  it("nothing is drafted past an end token or the limit", () => {
    const ended = new EdgeSide();
    expect(ofKind(ended.drafts(10, END_TOKEN), "draft")).toHaveLength(1);
    const full = new EdgeSide(RACE, 3);
    expect(ofKind(full.drafts(10, 11, 12), "draft")).toHaveLength(2);
    // Unless the cloud says that the text goes on.
    expect(ofKind(ended.hears(3, [10, 11]), "draft")).toMatchObject([{ position: 5, lineage: 1 }]);
  });
});

describe("7. an edge that reads slowly costs nothing", () => {
  it("draft frames say how far it has read", () => {
    const edge = new EdgeSide();
    edge.drafts(10, 11);
    edge.hears(3, [10, 11, 12]);
    const [frame] = draftFrames(edge.drafts(13));
    expect([frame!.first, frame!.committedThrough]).toEqual([6, 6]);
  });

  it("with nothing to draft it says so by itself, every 64 tokens", () => {
    const edge = new EdgeSide(POLICIES.cloud);
    const acknowledged: number[] = [];
    for (let i = 0; i < 300; i++) {
      for (const frame of draftFrames(edge.hears(3 + i, [10]))) {
        expect(frame.tokens).toHaveLength(0);
        acknowledged.push(frame.committedThrough - 3);
      }
    }
    expect(acknowledged).toEqual([64, 128, 192, 256]);
  });

  it("the cloud runs at most 256 tokens past it, and goes on from where it was told", () => {
    const cloud = new CloudSide();
    const runOn = () => {
      let tokens = 0;
      for (; cloud.session.work(cloud.nowMs).need === "now"; tokens++) cloud.pass(says(10));
      return tokens;
    };
    expect(runOn()).toBe(256);
    cloud.drafts(0, 3, [], 3 + 100);
    expect(runOn()).toBe(100);
    // Drafts are worth their pass, also there: they say that a client is.
    cloud.drafts(0, 3 + 356, [20]);
    expect(cloud.session.work(cloud.nowMs).need).toBe("now");
  });
});

const language = (seed: number, divergence: number): ToyLanguage => ({
  seed: toSeed(seed),
  vocabularySize: 24,
  order: Number.POSITIVE_INFINITY,
  spread: 6,
  divergence,
  contextTokens: 400,
});
const ENDLESS = { temperature: 1, logitBias: [[END_TOKEN, -1000]] as [number, number][] };

describe("8. a session goes on over another link", () => {
  interface Broken extends Transport {
    break(): void;
  }

  /** A link that can break so that only the edge knows of it. */
  function breakable(transport: Transport): Broken {
    let handlers: TransportHandlers | null = null;
    return {
      start: (given) => {
        handlers = given;
        transport.start({
          message: (bytes) => handlers?.message(bytes),
          closed: (reason) => handlers?.closed(reason),
        });
      },
      send: (bytes) => handlers && transport.send(bytes),
      get queuedBytes() {
        return transport.queuedBytes;
      },
      close: () => {},
      break: () => {
        const told = handlers;
        handlers = null;
        told?.closed("broken");
      },
    };
  }

  function generate(breakAtMs: readonly number[]) {
    const log: Passed[] = [];
    const world = new World({
      language: language(8, 6),
      schedule: steadySchedule(60, 30, 7),
      random: draws(1),
      link: tap(log),
    });
    const links: Broken[] = [];
    const link = () => {
      const made = breakable(world.link({ up: STEADY, down: STEADY }));
      links.push(made);
      return wireLink(made);
    };
    const tokens: number[] = [];
    let outcome = "";
    let resumptions = 0;
    const client: RemoteOpener = new RemoteOpener({
      link: link(),
      reconnect: (done) => done(null, link()),
      reconnectWithinMs: 60_000,
      secret: () => "a-secret-of-the-session",
      fingerprint: "toy",
      drafter: new ParallelDrafter(new ToyDraftModel(language(8, 6), world.clock)),
      clock: world.clock,
      client: "test",
      ready: () => {
        const settings = { policy: RACE, sampler: samplerSettings(ENDLESS), seed: toSeed(3), maxTokens: 80 };
        client.open(settings, Int32Array.from(PROMPT), {
          token: (token) => void tokens.push(token),
          finished: (ended, statistics) => {
            outcome = ended.kind;
            resumptions = statistics.resumptions;
            client.close();
          },
        });
      },
    });
    for (const atMs of breakAtMs) world.clock.schedule(atMs, () => links.at(-1)!.break());
    world.clock.run();
    const opens = log.flatMap(({ frame }) => (frame.type === "open" ? [frame] : []));
    return { tokens, outcome, resumptions, opens, log, open: world.cloud.openSessions };
  }
  const STEADY = { delayMs: 30, jitterMs: 0, mbps: Number.POSITIVE_INFINITY };

  it("resume carries the prompt's length, the session's secret, an epoch and what is committed", () => {
    const { opens, tokens } = generate([400, 1000]);
    expect(opens).toHaveLength(3);
    expect(opens[0]).toMatchObject({ resume: null, tokens: Int32Array.from(PROMPT) });
    for (const [i, { secret, resume, tokens: committed }] of opens.slice(1).entries()) {
      expect(secret).toBe("a-secret-of-the-session");
      expect(resume).toMatchObject({ promptTokens: PROMPT.length, epoch: i + 1 });
      expect([...committed]).toEqual([...PROMPT, ...tokens].slice(0, committed.length));
      expect(committed.length).toBeGreaterThan(PROMPT.length);
    }
  });

  it("drafts start again at what is committed, and the text stays the same", () => {
    const whole = generate([]);
    for (let atMs = 150; atMs < 1500; atMs += 37) {
      const broken = generate([atMs, atMs + 450]);
      expect([broken.outcome, broken.resumptions]).toEqual(["done", 2]);
      expect(broken.tokens).toEqual(whole.tokens);
      for (const [i, { frame }] of broken.log.entries()) {
        if (frame.type !== "open" || !frame.resume) continue;
        const next = broken.log.slice(i).find((passed) => passed.frame.type === "draft") as
          | { frame: DraftFrame }
          | undefined;
        if (next) expect(next.frame.first).toBeLessThanOrEqual(next.frame.committedThrough);
      }
    }
  });

  it("it cancels the orphan on the server, and an orphan that comes late is refused", () => {
    const limits = {
      ...{ connections: 3, sessions: 3, sessionsPerConnection: 2, helloWithinMs: 1000, silentAfterMs: 1000 },
      ...{ kvSlots: 2, quantumRows: 16, idleAfterMs: 100, passTokens: 32, passRows: 8, prefillTokens: 16 },
    };
    const cloud = new RequestHandler<PassSession, PassEvent, PassEffect>(
      {
        target: TARGET,
        server: "test",
        limits,
        capabilities: ROW_CAPABILITIES,
        tokenizer: null,
        grammars: null,
      },
      (registry) => new PassSessions(registry, limits),
    );
    const say = (connection: number, frame: Frame) => cloud.handle({ kind: "frame", connection, frame }, 0);
    for (const connection of [1, 2]) {
      cloud.handle({ kind: "connected", connection, tenant: null }, 0);
      say(connection, { type: "hello", protocol: 1, client: "c", fingerprint: "f" });
    }
    const open = (epoch: number): OpenFrame => ({
      type: "open",
      session: 1,
      settings: settingsOf(RACE, 20),
      tokens: Int32Array.from(PROMPT),
      secret: "0123456789abcdef",
      resume: epoch === 0 ? null : { promptTokens: PROMPT.length, lineage: 4, epoch },
    });
    say(1, open(0));
    say(2, open(1));
    expect(cloud.openSessions).toBe(1);
    const late = say(1, { ...open(1), session: 2 });
    expect(late).toContainEqual({
      kind: "send",
      connection: 1,
      frame: expect.objectContaining({ type: "error", session: 2, code: "superseded" }),
    });
    expect(cloud.openSessions).toBe(1);
  });

  it("leaves no session behind", () => {
    expect(generate([333, 700]).open).toBe(0);
  });
});
