import { describe, expect, it } from "vitest";
import {
  cloudOf,
  draft,
  engine,
  error,
  hello,
  sent,
  shares,
  Talk,
} from "../../../test/support/cloud-talk.ts";
import { TARGET } from "../../../test/support/target.ts";
import { type DecodingPolicy, POLICIES } from "../../decoding/policy.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { FEATURES, OWN_LIMITS } from "../../protocol/features.ts";
import type { DraftFrame, Frame } from "../../protocol/frame.ts";

describe("the handshake", () => {
  it("welcomes an edge with what it needs to know of the target", () => {
    const talk = new Talk();
    talk.event({ kind: "connected", connection: 1, tenant: null });
    const growth = { features: FEATURES, limits: { ...OWN_LIMITS, sessions: 2 } };
    const welcome = { type: "welcome", protocol: 1, server: "test", target: TARGET, ...growth };
    expect(sent(talk.say(hello))).toEqual([welcome]);
  });

  it("tells the identity of the target to an edge that asks for it, and to no other", () => {
    const identity = { weights: "w", quantisation: "q", library: "l", backend: "b", cpuBuild: "c" };
    const cloud = cloudOf({ ...TARGET, identity });
    const told = [["identity"], ["grammar-kinds"], undefined].map((features, i) => {
      cloud.handle({ kind: "connected", connection: i, tenant: null }, 0);
      const frame = { ...hello, features };
      return sent(cloud.handle({ kind: "frame", connection: i, frame }, 0));
    });
    expect(told.map(([frame]) => frame?.type === "welcome" && frame.target.identity)).toEqual([
      identity,
      undefined,
      undefined,
    ]);
  });

  it("sends no frame that is larger than the edge accepts", () => {
    const greet = (frameBytes: number, policy: DecodingPolicy) => {
      const talk = new Talk();
      talk.event({ kind: "connected", connection: 1, tenant: null });
      const welcome = error(talk.say({ ...hello, limits: { frameBytes } }));
      return welcome ?? error(talk.open(1, policy));
    };
    expect(greet(100, POLICIES.race)).toMatchObject({ session: 0, code: "unsupported" });
    expect(greet(100_000, POLICIES.race)).toMatchObject({ session: 1, code: "unsupported" });
    const most = 256 * 1024;
    expect(greet(most, POLICIES.race)).toBeUndefined();
    expect(greet(most, POLICIES.picospec)).toMatchObject({ session: 1, code: "unsupported" });
    expect(greet(most + 4 * TARGET.vocabularySize, POLICIES.picospec)).toBeUndefined();
  });

  it.each([
    ["another protocol", { ...hello, protocol: 2 }, "protocol_version", /protocol 2 and this cloud 1/],
    [
      "another tokenizer, both named",
      { ...hello, fingerprint: "g" },
      "tokenizer_mismatch",
      /tokenizer g .* f \(m\)/,
    ],
    ["a frame before hello", { type: "cancel", session: 1 }, "unexpected_frame", /begins with one hello/],
    [
      "a frame that only clouds send",
      { type: "done", session: 1, reason: "end" },
      "unexpected_frame",
      /begins with/,
    ],
  ])("refuses %s and lets go", (_, frame, code, message) => {
    const talk = new Talk();
    talk.event({ kind: "connected", connection: 1, tenant: null });
    const effects = talk.say(frame as Frame);
    expect(error(effects)).toMatchObject({ session: 0, code, message: expect.stringMatching(message) });
    expect(effects.at(-1)).toEqual({ kind: "close", connection: 1 });
    // What still comes from it is not heard.
    expect(talk.say(hello)).toEqual([]);
  });

  it("refuses a second hello, garbage, and one connection too many", () => {
    expect(error(new Talk().greet().say(hello))?.code).toBe("unexpected_frame");
    const garbage = new ProtocolError("bad_frame", "bad");
    expect(error(new Talk().greet().event({ kind: "garbage", connection: 1, error: garbage }))?.code).toBe(
      "bad_frame",
    );
    const talk = new Talk().greet(1).greet(2).greet(3);
    expect(error(talk.event({ kind: "connected", connection: 4, tenant: null }))).toMatchObject({
      code: "server_full",
    });
    talk.event({ kind: "disconnected", connection: 2 });
    expect(error(talk.event({ kind: "connected", connection: 5, tenant: null }))).toBeUndefined();
  });
});

describe("admission", () => {
  it.each([
    [
      "a prompt as long as the context",
      () => new Talk().greet().open(1, POLICIES.picospec, new Array(50).fill(1)),
      "prompt_too_long",
    ],
    ["a token that is not there", () => new Talk().greet().open(1, POLICIES.picospec, [100]), "bad_frame"],
    [
      "settings that cannot be had",
      () => {
        const error = new ProtocolError("bad_setting", "topP must be above 0", 1);
        return new Talk().greet().event({ kind: "garbage", connection: 1, error });
      },
      "bad_setting",
    ],
    ["a policy without a cloud", () => new Talk().greet().open(1, POLICIES.edge), "bad_setting"],
  ])("refuses %s, which costs the edge nothing else", (_, attempt, code) => {
    const effects = attempt();
    expect(error(effects)?.code).toBe(code);
    expect(effects.some((effect) => effect.kind === "close")).toBe(false);
  });

  it.each([
    0, 1,
  ])("lets go of an edge that opens session %i, which is none or open: an error would name it", (id) => {
    const talk = new Talk().greet();
    talk.open(1);
    const effects = talk.open(id);
    expect(error(effects)).toMatchObject({ session: 0, code: "unexpected_frame" });
    expect(effects.at(-1)).toEqual({ kind: "close", connection: 1 });
    expect(talk.cloud.openSessions).toBe(0);
  });

  it("cuts off a connection that says no hello, and no other", () => {
    const talk = new Talk().greet(2);
    const [wake] = talk.event({ kind: "connected", connection: 1, tenant: null });
    expect(wake).toEqual({ kind: "wake", atMs: 1000 });
    talk.nowMs = 1000;
    const effects = talk.event({ kind: "wake" });
    expect(error(effects)).toMatchObject({ code: "slow_peer" });
    expect(effects.filter(({ kind }) => kind === "close")).toEqual([{ kind: "close", connection: 1 }]);
  });

  it("is patient with an edge that waits for the cloud itself, however often that says nothing", () => {
    const talk = new Talk().greet(1).greet(2);
    const [first] = shares(talk.open(1));
    talk.open(1, POLICIES.picospec, [4, 5], 2); // its prompt waits for the pass that is under way
    talk.nowMs = 5000;
    expect(error(talk.event({ kind: "wake" }))).toBeUndefined();
    expect(shares(talk.passEnded({ session: first!.session }))).toHaveLength(1);
    expect(talk.cloud.openSessions).toBe(2);
  });

  it("bounds sessions, of a connection and in all", () => {
    const talk = new Talk().greet(1).greet(2);
    expect(error(talk.open(1))).toBeUndefined();
    talk.open(2);
    expect(error(talk.open(3))?.code).toBe("too_many_sessions");
    talk.open(1, POLICIES.picospec, [1], 2);
    expect(error(talk.open(2, POLICIES.picospec, [1], 2))?.code).toBe("server_full");
    expect(talk.cloud.openSessions).toBe(3);
    talk.event({ kind: "disconnected", connection: 1 });
    expect(talk.cloud.openSessions).toBe(1);
  });

  it("is not kept from that by frames that tell nothing", () => {
    const end = (frame: DraftFrame) => {
      const talk = new Talk().greet();
      talk.passEnded({ session: shares(talk.open())[0]!.session });
      talk.nowMs = 900;
      talk.say(frame);
      talk.nowMs = 1000;
      return error(talk.event({ kind: "wake" }))?.code;
    };
    expect(end(draft({ tokens: new Int32Array(0) }))).toBe("slow_peer");
    expect(end(draft({ tokens: new Int32Array(0), committedThrough: 2 }))).toBe("slow_peer");
    expect(end(draft())).toBeUndefined();
  });

  it("ends a session that says nothing for too long", () => {
    const talk = new Talk().greet();
    talk.passEnded({ session: shares(talk.open())[0]!.session });
    talk.nowMs = 999;
    expect(error(talk.event({ kind: "wake" }))).toBeUndefined();
    talk.nowMs = 1000;
    expect(error(talk.event({ kind: "wake" }))).toMatchObject({ session: 1, code: "slow_peer" });
    expect(talk.cloud.openSessions).toBe(0);
  });
});

describe("a row that is of no use", () => {
  it("ends the session that it was for, and no other of the pass", () => {
    const talk = new Talk().greet(1).greet(2);
    const first = shares(talk.open(1))[0]!;
    talk.open(1, POLICIES.cloud, [4, 5], 2);
    const second = shares(talk.passEnded({ session: first.session }))[0]!;
    const effects = talk.passEnded({ session: second.session, held: false, failure: "no finite logits" });
    expect(error(effects)).toMatchObject({ session: 1, code: "model_output", message: "no finite logits" });
    expect(effects.some(({ kind }) => kind === "close")).toBe(false);
    expect(talk.cloud.openSessions).toBe(1);
  });
});

describe("a peer that breaks the rules loses its session, and no other peer does", () => {
  const opened = () => {
    const talk = new Talk().greet(1).greet(2);
    talk.open(1);
    talk.open(1, POLICIES.cloud, [4, 5], 2);
    return talk;
  };
  it.each([
    ["a gap", draft({ first: 5 }), /start at 5, but 3 is next/],
    ["a token that is not there", draft({ tokens: Int32Array.of(100) }), /no token 100/],
    ["more than the window", draft({ tokens: new Int32Array(12).fill(7) }), /more drafts than the window/],
    ["drafts past the limit", draft({ tokens: new Int32Array(40).fill(7) }), /window|limit/],
    ["a lineage where nothing was rejected", draft({ lineage: 1 }), /nothing was rejected/],
    ["two tokens for one position", draft({ first: 2, tokens: Int32Array.of(9) }), /drafted twice/],
    ["q that was not agreed on", draft({ q: { kind: "none" } }), /sends sparse q/],
  ])("%s", (_, frame, message) => {
    const talk = opened();
    const effects = talk.say(frame);
    expect(error(effects)).toMatchObject({
      session: 1,
      code: "bad_draft",
      message: expect.stringMatching(message),
    });
    expect(effects.some((effect) => effect.kind === "close")).toBe(false);
    expect(talk.cloud.openSessions).toBe(1);
    // Late frames of the session that is gone are normal.
    expect(error(talk.say(draft()))).toBeUndefined();
  });

  it("a model that fails ends the sessions of its pass with an error each", () => {
    const talk = new Talk().greet();
    talk.open(1);
    const effects = talk.engine({ kind: "passFailed", message: "out of memory" });
    expect(error(effects)).toMatchObject({
      session: 1,
      code: "internal",
      message: expect.stringMatching(/out of memory/),
    });
    expect(talk.cloud.openSessions).toBe(0);
    expect(shares(talk.open(1)).length).toBe(1);
  });
});

describe("passes", () => {
  it("puts the work of all sessions into one, prompts in chunks", () => {
    const talk = new Talk().greet();
    const first = shares(talk.open(1, POLICIES.picospec, new Array(30).fill(1)));
    expect(first.map(({ tokens }) => tokens.length)).toEqual([16]);
    talk.open(2, POLICIES.cloud, [1, 2]);
    const next = shares(talk.passEnded({ session: 1, held: false }));
    const shape = next.map(({ session, from, tokens, questions, hold }) => [
      session,
      from,
      tokens.length,
      questions.length,
      hold,
    ]);
    // The rest of the long prompt, whose last row is kept, beside the short one, whose last row is asked.
    expect(shape).toEqual([
      [1, 16, 14, 0, true],
      [2, 0, 2, 1, false],
    ]);
  });

  it("keeps a KV slot until the pass is over when its session ends meanwhile", () => {
    const talk = new Talk().greet(1).greet(2);
    const [share] = shares(talk.open(1));
    talk.event({ kind: "disconnected", connection: 1 });
    expect(talk.cloud.openSessions).toBe(0);
    talk.open(1, POLICIES.cloud, [4, 5], 2);
    const effects = talk.passEnded({ session: share!.session });
    expect(engine(effects)).toContainEqual({ kind: "releaseRow", session: share!.session });
    expect(shares(effects).length).toBe(1);
  });

  it("tells every edge when it shuts down, and takes no new ones", () => {
    const talk = new Talk().greet(1).greet(2);
    talk.open(1);
    const effects = talk.event({ kind: "shutdown" });
    expect(sent(effects).map((frame) => frame.type === "error" && frame.code)).toEqual([
      "shutting_down",
      "shutting_down",
    ]);
    expect(error(talk.event({ kind: "connected", connection: 3, tenant: null }))?.code).toBe("shutting_down");
  });

  it("drains: edges that know how are told to go, open sessions go on, and its end is told once", () => {
    const talk = new Talk().greet(1, null, ["go-away"]).greet(2);
    const [share] = shares(talk.open(1));
    const effects = talk.event({ kind: "drain", withinMs: 500 });
    expect(effects).toEqual([{ kind: "send", connection: 1, frame: { type: "goAway", withinMs: 500 } }]);
    expect(error(talk.event({ kind: "connected", connection: 3, tenant: null }))?.code).toBe("shutting_down");
    talk.passEnded({ session: share!.session });
    expect(talk.cloud.openSessions).toBe(1);
    const over = talk.say({ type: "cancel", session: 1 });
    expect(over.filter(({ kind }) => kind === "drained")).toHaveLength(1);
    expect(talk.event({ kind: "wake" }).some(({ kind }) => kind === "drained")).toBe(false);
  });

  it("lets an edge that asks a draining cloud go, with all of its sessions: they go on elsewhere", () => {
    const talk = new Talk().greet(1).greet(2);
    talk.open(1);
    talk.event({ kind: "drain", withinMs: 500 });
    const effects = talk.open(2);
    expect(error(effects)).toMatchObject({ session: 0, code: "shutting_down" });
    expect(talk.cloud.openSessions).toBe(0);
  });
});
