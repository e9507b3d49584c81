import { describe, expect, it } from "vitest";
import { Cloud } from "../src/cloud/driver.ts";
import { POLICIES } from "../src/decoding/policy.ts";
import type { SessionSettings } from "../src/decoding/session.ts";
import type { Outcome } from "../src/edge/core/machine.ts";
import { ParallelDrafter } from "../src/edge/drafters/parallel-drafter.ts";
import { RemoteOpener } from "../src/edge/opener.ts";
import { ToyDraftModel } from "../src/engine/toy/draft-model.ts";
import { ToyPassEngine } from "../src/engine/toy/pass-engine.ts";
import { decode } from "../src/protocol/decode.ts";
import { FEATURES } from "../src/protocol/features.ts";
import { wireLink } from "../src/protocol/link.ts";
import { toSeed } from "../src/sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../src/sampling/sampler.ts";
import { memoryPair } from "../src/transport/memory.ts";
import type { Transport } from "../src/transport/transport.ts";
import { assert } from "../src/util/assert.ts";
import { VirtualClock } from "../src/util/virtual-clock.ts";
import { type Conversation, LANGUAGE, PROMPT, RELEASE_0_1, SECRET } from "./support/release-0.1.ts";
import { ToyGrammars } from "./support/toy-grammar.ts";

/** This release's edge and cloud beside release 0.1's, whose bytes were recorded. */

const MOST_WAIT_MS = 5_000;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const isType = (text: string, type: number) => Number.parseInt(text.slice(0, 2), 16) === type;
const jsonOf = (text: string) =>
  JSON.parse(bytesOf(text.slice(16)).reduce((s, b) => s + String.fromCharCode(b), ""));

/** Control frames by their JSON, without what this release has added; others byte by byte. */
function asIn01(text: string): unknown {
  if (isType(text, 1) || isType(text, 2)) {
    const { features, limits, ...rest } = jsonOf(text);
    expect(features).toEqual(FEATURES);
    expect(limits).toBeDefined();
    return rest;
  }
  return text;
}

/** What release 0.1 says in a hello and a welcome, which has neither list. */
const said01 = (text: string): unknown => (isType(text, 1) || isType(text, 2) ? jsonOf(text) : text);

class Stage {
  readonly clock = new VirtualClock();
  readonly grammars = new ToyGrammars(LANGUAGE.vocabularySize);

  /** This release's cloud, over the model that release 0.1's had. */
  cloud(): Cloud {
    return new Cloud({
      model: new ToyPassEngine(LANGUAGE, this.clock, { kvSlots: 2 }),
      description: { name: "toy", fingerprint: "toy", endTokens: [0], chatTemplate: null },
      clock: this.clock,
      server: "picospec/0.1.0",
      tokenizer: Uint8Array.of(0x47, 0x47, 0x55, 0x46),
      grammars: this.grammars,
    });
  }

  /** This release's edge, with one session once it is ready. */
  edge(link: () => Transport, open: (client: RemoteOpener) => void): void {
    new RemoteOpener({
      link: wireLink(link()),
      reconnect: (done) => done(null, wireLink(link())),
      reconnectWithinMs: 10_000,
      secret: () => SECRET,
      fingerprint: "toy",
      drafter: new ParallelDrafter(new ToyDraftModel(LANGUAGE, this.clock)),
      clock: this.clock,
      client: "picospec/0.1.0",
      grammars: this.grammars,
      ready: (error, client) => {
        if (error) throw error;
        open(client);
      },
    });
  }

  /** @returns the peer's end of a link, and what came out of it, as it comes */
  listen(transport: Transport): string[] {
    const heard: string[] = [];
    transport.start({ message: (bytes) => void heard.push(hex(bytes)), closed: () => {} });
    return heard;
  }

  /** Time passes until so much was heard. */
  until(heard: readonly string[], count: number): void {
    const endMs = this.clock.nowMs() + MOST_WAIT_MS;
    while (heard.length < count) assert(this.clock.step(endMs), `frame ${count} does not come`);
  }
}

function settingsOf(more: Conversation["settings"] = {}, sampler: object = {}): SessionSettings {
  const known = samplerSettings(sampler as Partial<SamplerSettings>);
  return { policy: POLICIES.vanilla, sampler: known, seed: toSeed(7), maxTokens: 12, ...more };
}

describe.each(RELEASE_0_1)("release 0.1's bytes: $name", ({ links, settings, sampler, tokens }) => {
  it("an edge of 0.1 gets from this cloud what 0.1's gave it", () => {
    const stage = new Stage();
    const cloud = stage.cloud();
    for (const [i, said] of links.entries()) {
      const [near, far] = memoryPair(stage.clock);
      cloud.accept(far);
      const heard = stage.listen(near);
      let expected = 0;
      for (const [who, text] of said) {
        if (who === "cloud") expected++;
        else {
          stage.until(heard, expected);
          near.send(bytesOf(text));
        }
      }
      stage.until(heard, expected);
      const from01 = said.filter(([who]) => who === "cloud").map(([, text]) => said01(text));
      expect(heard.map(asIn01)).toEqual(from01);
      if (i < links.length - 1) near.close();
    }
    expect(cloud.openSessions).toBe(0);
  });

  it("this edge says to a cloud of 0.1 what 0.1's said, and gets the same text", () => {
    const stage = new Stage();
    const peers: { near: Transport; heard: string[] }[] = [];
    const got: number[] = [];
    let outcome: Outcome | null = null;
    const link = () => {
      const [near, far] = memoryPair(stage.clock);
      peers.push({ near: far, heard: stage.listen(far) });
      return near;
    };
    stage.edge(link, (client) => {
      client.open(settingsOf(settings, sampler), Int32Array.from(PROMPT), {
        token: (token) => void got.push(token),
        finished: (result) => {
          outcome = result;
          client.close();
        },
      });
    });
    for (const [i, said] of links.entries()) {
      const ends = i < links.length - 1;
      const heardOf = () => peers[i]?.heard ?? [];
      let expected = 0;
      for (const [index, [who, text]] of said.entries()) {
        if (who === "edge") expected++;
        else {
          while (heardOf().length < expected) assert(stage.clock.step(20_000), "the edge says nothing");
          // The recorded link was cut before its last frame was heard.
          if (ends && index === said.length - 1) peers[i]!.near.close();
          else peers[i]!.near.send(bytesOf(text));
        }
      }
      while (ends ? peers.length === i + 1 : outcome === null) assert(stage.clock.step(20_000), "no end");
      const from01 = said.filter(([who]) => who === "edge").map(([, text]) => said01(text));
      expect(heardOf().map(asIn01)).toEqual(from01);
    }
    expect(outcome).toMatchObject({ kind: "done" });
    expect(got).toEqual(tokens);
  });
});

/** Frames that a cloud or an edge of 0.1 said, by their type. */
const said = (type: number, name = "a session") =>
  RELEASE_0_1.find((one) => one.name === name)!
    .links[0]!.map(([, text]) => text)
    .find((text) => isType(text, type))!;

describe("what release 0.1 cannot do", () => {
  /** The welcome of 0.1, and what then becomes of a session. */
  function ask(settings: SessionSettings): { error: unknown; sent: string[] } {
    const stage = new Stage();
    const [near, far] = memoryPair(stage.clock);
    const heard = stage.listen(far);
    let error: unknown = null;
    stage.edge(
      () => near,
      (client) => {
        try {
          client.open(settings, Int32Array.from(PROMPT), { finished: () => {} });
        } catch (thrown) {
          error = thrown;
        }
      },
    );
    stage.until(heard, 1);
    far.send(bytesOf(said(2)));
    while (stage.clock.step(stage.clock.nowMs())) {}
    return { error, sent: heard.slice(1) };
  }

  it.each([
    [
      "a sampler setting that came later",
      { ...settingsOf(), sampler: { ...samplerSettings(), topNSigma: 1.5 } },
      "topNSigma",
      /the cloud \(picospec\/0\.1\.0\) lacks sampler:topNSigma.* leave topNSigma at its default, or update the older side/,
    ],
    [
      "a grammar of another kind",
      settingsOf({ grammar: { kind: "lark", source: "start: /a/" } } as never),
      "grammar",
      /lacks grammar:lark.* send an EBNF grammar/,
    ],
    [
      "a grammar of a kind that is named like what every object has",
      settingsOf({ grammar: { kind: "constructor", source: "a" } } as never),
      "grammar",
      /lacks grammar:constructor/,
    ],
  ])("%s is refused by this edge, with one error", (_, settings, setting, message) => {
    const { error, sent } = ask(settings as SessionSettings);
    expect(error).toMatchObject({ code: "bad_setting", setting, message: expect.stringMatching(message) });
    expect(sent.filter((text) => isType(text, 3))).toEqual([]);
  });

  it("control: what it can do is sent", () => {
    const { error, sent } = ask(settingsOf());
    expect(error).toBeNull();
    expect(sent.filter((text) => isType(text, 3))).toEqual([said(3)]);
  });

  /** Says an open with other settings to this cloud, behind a hello. */
  function open(hello: object, change: (json: Record<string, unknown>) => object): unknown[] {
    const stage = new Stage();
    const cloud = stage.cloud();
    const [near, far] = memoryPair(stage.clock);
    cloud.accept(far);
    const heard = stage.listen(near);
    near.send(control("0100000000000000", { ...jsonOf(said(1)), ...hello }));
    stage.until(heard, 1);
    const bytes = bytesOf(said(3));
    const json = JSON.parse(Buffer.from(bytes.subarray(16 + 4 * PROMPT.length)).toString());
    const settings = new TextEncoder().encode(JSON.stringify(change(json)));
    const frame = new Uint8Array(16 + 4 * PROMPT.length + settings.length);
    frame.set(bytes.subarray(0, 16 + 4 * PROMPT.length));
    new DataView(frame.buffer).setUint32(12, settings.length, true);
    frame.set(settings, 16 + 4 * PROMPT.length);
    near.send(frame);
    // The connection goes on: a ping is answered.
    near.send(bytesOf(said(11)));
    stage.until(heard, 2);
    while (stage.clock.step(stage.clock.nowMs())) {}
    return heard.slice(1).map((text) => decode(bytesOf(text)));
  }

  const PONG = { type: "pong" };

  it.each([
    [
      "an unknown sampler setting",
      "sampler",
      { noSuchSetting: 1 },
      /sampler setting "noSuchSetting".* update the cloud/,
    ],
    ["an unknown one of an odd name", "sampler", { constructor: 1 }, /sampler setting "constructor"/],
    ["an unknown kind of grammar", "grammar", { kind: "peg", source: "x" }, /kind "peg": send ebnf/],
    ["an odd kind of grammar", "grammar", { kind: "__proto__", source: "x" }, /kind "__proto__"/],
    [
      "a grammar by kind, not agreed on",
      "grammar",
      { kind: "ebnf", source: "toy" },
      /needs the feature grammar-kinds/,
    ],
  ])("this cloud refuses %s with one error that costs the session only", (_, field, value, message) => {
    const answers = open({}, (json) => ({ ...json, [field]: { ...(json[field] as object), ...value } }));
    expect(answers).toEqual([
      { type: "error", session: 1, code: "unsupported", message: expect.stringMatching(message) },
      expect.objectContaining(PONG),
    ]);
  });

  it("control: a grammar by kind that is agreed on is served, and unknown fields and features change nothing", () => {
    const features = ["grammar-kinds", "__proto__", "constructor", "time-travel"];
    const answers = open({ features, limits: { wishes: 3 }, mood: "good" }, (json) => ({
      ...json,
      grammar: { kind: "ebnf", source: "toy", flavour: 1 },
      colour: "blue",
    }));
    expect(answers).toEqual([expect.objectContaining(PONG)]);
  });
});

function control(header: string, json: object): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.from(header, "hex"), Buffer.from(JSON.stringify(json))]));
}
