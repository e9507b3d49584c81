import { describe, expect, it } from "vitest";
import { FakeClock, FakeLink, welcome } from "../../test/support/fake-link.ts";
import { TARGET } from "../../test/support/target.ts";
import type { TargetIdentity } from "../decoding/identity.ts";
import { POLICIES } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import type { Frame, TargetInfo, WelcomeFrame } from "../protocol/frame.ts";
import { pongFor } from "../protocol/frame.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import type { CloudError } from "./connection.ts";
import { RemoteOpener } from "./opener.ts";

/** What is asked of a cloud outside any session is answered, or comes back with an error, also where links break. */

/** An edge that is connected, and every link that it makes. */
function connected(target: TargetInfo = TARGET, growth: Partial<WelcomeFrame> = {}) {
  const clock = new FakeClock();
  const links = [new FakeLink()];
  const client = new RemoteOpener({
    link: links[0]!,
    reconnect: (done) => {
      const link = new FakeLink();
      links.push(link);
      done(null, link);
    },
    reconnectWithinMs: 60_000,
    fingerprint: "",
    client: "c",
    clock,
    drafter: null,
    secret: () => "0123456789abcdef",
    ready: () => {},
  });
  links[0]!.says({ ...welcome, target, ...growth });
  return { clock, links, client };
}

const IDENTITY: TargetIdentity = {
  weights: "w",
  quantisation: "Q8_0",
  library: "llama.cpp 1",
  backend: "cpu",
  cpuBuild: "haswell",
};

describe("a cloud that comes back", () => {
  /** Clouds with these targets answer one after the other, each over a new link; the edge has a session. */
  function clouds(...targets: readonly Partial<TargetInfo>[]) {
    const { clock, links, client } = connected({ ...TARGET, ...targets[0] });
    const told: string[] = [];
    const settings = { policy: POLICIES.cloud, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 5 };
    client.open(settings, Int32Array.of(1), {
      finished: (outcome) =>
        told.push(outcome.kind === "failed" ? `${outcome.code}: ${outcome.message}` : "done"),
    });
    for (const target of targets.slice(1)) {
      links.at(-1)!.breaks();
      clock.runTo(clock.nowMs() + 1000);
      links.at(-1)!.says({ ...welcome, target: { ...TARGET, ...target } });
    }
    return { told, resumed: links.at(-1)!.count("open") };
  }

  it.each([
    ["weights", { weights: "v" }, /weights \(v, before: w\)/],
    ["quantisation", { quantisation: "Q4_0" }, /quantisation \(Q4_0, before: Q8_0\)/],
    ["library", { library: "llama.cpp 2" }, /library \(llama\.cpp 2, before: llama\.cpp 1\)/],
    ["backend", { backend: "cuda" }, /compute backend \(cuda, before: cpu\)/],
    ["CPU build", { cpuBuild: "icelake" }, /CPU build \(icelake, before: haswell\)\. .* ask again/],
    ["cache", { attention: "KV q8_0" }, /attention \(KV q8_0, before: usual\)/],
  ])("with another %s is another target, and the message names it", (_, part, message) => {
    const { told, resumed } = clouds({ identity: IDENTITY }, { identity: { ...IDENTITY, ...part } });
    expect(told).toEqual([expect.stringMatching(/^other_target: /)]);
    expect(told[0]).toMatch(message);
    expect(resumed).toBe(0);
  });

  it.each([
    ["fingerprint", { fingerprint: "x" }, /tokenizer \(x, before: f\)/],
    ["vocabulary", { vocabularySize: 7 }, /vocabulary \(7 tokens, before: 100\)/],
    ["context", { contextTokens: 9 }, /context \(9 tokens, before: 50\)/],
    ["end tokens", { endTokens: [1] }, /end tokens \(1, before: 0\)/],
  ])("with another %s is another target, with or without an identity", (_, change, message) => {
    for (const identity of [IDENTITY, undefined]) {
      expect(clouds({ identity }, { identity, ...change }).told[0]).toMatch(message);
    }
  });

  it.each([
    ["the same identity", [IDENTITY, { ...IDENTITY }]],
    ["none, as before", [undefined, undefined]],
    ["none any more", [IDENTITY, undefined]],
    ["one where there was none", [undefined, IDENTITY]],
  ])("with %s goes on with the session", (_, identities) => {
    const { told, resumed } = clouds(...identities.map((identity) => ({ identity })));
    expect([told, resumed]).toEqual([[], 1]);
  });

  it.each([
    ["another", { identity: "b" }, 1],
    ["the same", { identity: "a" }, 0],
  ])("with a tokenizer of %s identity is another target, or not", (_, change, errors) => {
    const vocabulary = { type: "BPE", ids: 9, tokens: 9, identity: "a", fileBytes: 9, fileHash: "0" };
    const { told } = clouds({ vocabulary }, { vocabulary: { ...vocabulary, ...change } });
    expect(told).toHaveLength(errors);
  });

  it("is compared with the last identity that was told, also past a cloud that told none", () => {
    const other = { ...IDENTITY, cpuBuild: "icelake" };
    const { told } = clouds({ identity: IDENTITY }, {}, { identity: other });
    expect(told).toEqual([expect.stringMatching(/CPU build \(icelake, before: haswell\)/)]);
  });
});

describe("what is agreed with the cloud", () => {
  const settings = { policy: POLICIES.cloud, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 5 };
  const open = (client: RemoteOpener, more: Partial<SessionSettings> = {}, prompt = Int32Array.of(1)) => {
    const told: unknown[] = [];
    client.open({ ...settings, ...more }, prompt, { finished: (outcome) => told.push(outcome) });
    return told;
  };
  const grammar = { kind: "ebnf", source: "x" } as const;

  it("decides how a grammar travels, also over a new link", () => {
    const { clock, links, client } = connected(TARGET, { features: ["grammar-kinds"] });
    open(client, { grammar });
    links[0]!.breaks();
    clock.runTo(1000);
    links[1]!.says(welcome);
    const plain = links.map(({ sent }) =>
      sent.flatMap((frame) => (frame.type === "open" ? [frame.plainGrammar === true] : [])),
    );
    expect(plain).toEqual([[false], [true]]);
  });

  it("ends a session that the cloud at the other end of a new link cannot go on with, and no other", () => {
    const { clock, links, client } = connected(TARGET, { limits: { promptTokens: 100 } });
    const [long, short] = [open(client, { maxTokens: 40 }), open(client, { maxTokens: 2 })];
    links[0]!.breaks();
    clock.runTo(1000);
    links[1]!.says({ ...welcome, limits: { promptTokens: 30 } } as Frame);
    expect(long).toEqual([expect.objectContaining({ kind: "failed", code: "unsupported" })]);
    expect(short).toEqual([]);
    expect(links[1]!.count("open")).toBe(1);
  });

  it.each([
    ["promptTokens", { promptTokens: 5 }, { code: "bad_setting", setting: "prompt" }],
    ["frameBytes", { frameBytes: 1000 }, { code: "bad_setting", setting: "prompt" }],
    ["sessions", { sessions: 1 }, { code: "too_many_sessions" }],
  ])("bounds what the edge opens: %s", (_, limits, expected) => {
    const { client, links } = connected(TARGET, { limits });
    const twice = () => {
      open(client);
      open(client);
    };
    expect(twice).toThrow(expect.objectContaining(expected));
    expect(links[0]!.count("open")).toBe("sessions" in limits ? 1 : 0);
  });
});

/** What a callback was told. */
type Told = string | number;
const into =
  (told: Told[]) =>
  (error: CloudError | null, value: number | Uint8Array): void => {
    told.push(error ? error.code : typeof value === "number" ? value : value.length);
  };

describe("the tokenizer of the target", () => {
  it("is asked for again over the next link", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.requestTokenizer(into(told));
    links[0]!.breaks();
    clock.runTo(1000);
    links[1]!.says(welcome);
    expect(links[1]!.count("tokenizerRequest")).toBe(1);
    expect(told).toEqual([]);
    links[1]!.says({ type: "tokenizer", file: Uint8Array.of(1, 2, 3) });
    expect(told).toEqual([3]);
  });

  it("is asked for once where the link holds, and the cloud is not pinged any more when it has come", () => {
    const { clock, links, client } = connected();
    client.requestTokenizer(into([]));
    expect(() => client.requestTokenizer(() => {})).toThrow(
      expect.objectContaining({ code: "already_asked" }),
    );
    links[0]!.says({ type: "tokenizer", file: Uint8Array.of(1) });
    const pings = links[0]!.count("ping");
    clock.runTo(60_000);
    expect(links[0]!.count("tokenizerRequest")).toBe(1);
    expect(links[0]!.count("ping")).toBe(pings);
    client.requestTokenizer(() => {});
  });

  it("is not waited for behind a cloud that has gone silent", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.requestTokenizer(into(told));
    clock.runTo(30_000);
    expect(links.length).toBeGreaterThan(1); // silence was noticed, and another link tried
    clock.runTo(200_000);
    expect(told).toEqual(["unreachable"]);
    client.requestTokenizer(into(told));
    expect(told).toEqual(["unreachable", "unreachable"]);
  });
});

describe("the vocabulary of the target", () => {
  const chunk = (number: number) =>
    ({ type: "vocabulary", part: "file", chunk: number, bytes: new Uint8Array(number + 1) }) as const;

  it("is asked for chunk by chunk, several at a time, and each comes once", () => {
    const { links, client } = connected();
    const told: Told[] = [];
    for (const number of [0, 1, 2]) client.requestVocabulary("file", number, into(told));
    expect(() => client.requestVocabulary("file", 1, into(told))).toThrow(
      expect.objectContaining({ code: "already_asked" }),
    );
    client.requestVocabulary("entries", 1, into(told));
    links[0]!.says(chunk(2));
    links[0]!.says(chunk(0));
    links[0]!.says(chunk(0));
    expect(told).toEqual([3, 1]);
    client.checkIntegrity();
  });

  it("is not waited for behind a cloud that answers pings and does not send it", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    const passTo = (untilS: number) => {
      for (let s = clock.nowMs() / 1000; s < untilS; s++) {
        clock.runTo((s + 1) * 1000);
        for (const frame of links[0]!.sent.splice(0)) {
          if (frame.type === "ping") links[0]!.says(pongFor(frame));
        }
      }
    };
    for (const number of [0, 1]) client.requestVocabulary("file", number, into(told));
    client.requestTokenizer(into(told));
    links[0]!.says(chunk(1));
    passTo(20);
    client.requestVocabulary("entries", 0, into(told));
    passTo(29);
    expect(told).toEqual([2]);
    passTo(36);
    expect(told).toEqual([2, "silent_cloud", "silent_cloud"]);
    passTo(56);
    expect(told.slice(3)).toEqual(["silent_cloud"]);
    // The link stays, and what comes late was not asked for.
    links[0]!.says(chunk(0));
    expect([told.length, links.length, client.gone]).toEqual([4, 1, false]);
    client.checkIntegrity();
    client.requestVocabulary("file", 0, into(told));
    links[0]!.says(chunk(0));
    expect(told.at(-1)).toBe(1);
  });

  it("has its time anew over another link", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    clock.runTo(1000);
    client.requestVocabulary("file", 1, into(told));
    for (let i = 0; i < 3; i++) {
      clock.runTo(clock.nowMs() + 16_000);
      links.at(-1)!.breaks();
      clock.runTo(clock.nowMs() + 1000);
      links.at(-1)!.says(welcome);
    }
    links.at(-1)!.says(chunk(1));
    expect(told).toEqual([2]);
  });

  it("is asked for in 64 requests at a time at most", () => {
    const { links, client } = connected();
    const told: Told[] = [];
    for (let number = 0; number < 64; number++) client.requestVocabulary("file", number, into(told));
    const more = () => client.requestVocabulary("file", 64, into(told));
    expect(more).toThrow(expect.objectContaining({ code: "too_many_requests" }));
    links[0]!.says(chunk(3));
    more();
    client.checkIntegrity();
  });

  it("goes on over the next link with what has not come", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    for (const number of [0, 1]) client.requestVocabulary("file", number, into(told));
    links[0]!.says(chunk(0));
    links[0]!.breaks();
    clock.runTo(1000);
    links[1]!.says(welcome);
    expect(links[1]!.sent.filter(({ type }) => type === "vocabularyRequest")).toEqual([
      { type: "vocabularyRequest", part: "file", chunk: 1 },
    ]);
    links[1]!.says(chunk(1));
    expect(told).toEqual([1, 2]);
  });

  it("is not waited for behind a cloud that is gone", () => {
    const { clock, client } = connected();
    const told: Told[] = [];
    for (const number of [0, 1]) client.requestVocabulary("file", number, into(told));
    clock.runTo(230_000);
    expect(told).toEqual(["unreachable", "unreachable"]);
    client.checkIntegrity();
  });
});

describe("pings", () => {
  it("tell their own round trips, also those of one moment", () => {
    const { clock, links, client } = connected();
    const told: Told[] = [];
    client.ping(0, false, into(told));
    client.ping(0, false, into(told));
    client.ping(5, false, into(told));
    client.ping(7, true, into(told));
    clock.runTo(10);
    for (const frame of links[0]!.sent) {
      if (frame.type === "ping") links[0]!.says(pongFor({ ...frame, type: "ping" }));
      clock.runTo(clock.nowMs() + 1);
    }
    expect(told).toEqual([11, 12, 13, 14]); // the hello was the first frame
  });

  it("end with an error where the link breaks or there is none, and are never more than 64", () => {
    const { links, client } = connected();
    const told: Told[] = [];
    for (let i = 0; i < 65; i++) client.ping(0, false, into(told));
    expect(told).toEqual(["too_many_pings"]);
    links[0]!.breaks();
    expect(told.slice(1)).toEqual(Array(64).fill("connection_lost"));
    client.ping(0, false, into(told));
    expect(told).toHaveLength(66);
    expect(told[65]).toBe("connection_lost");
  });
});
