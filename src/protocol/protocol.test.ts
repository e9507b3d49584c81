import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GOLDEN } from "../../test/support/golden-frames.ts";
import type { Grammar } from "../decoding/grammar.ts";
import { POLICIES } from "../decoding/policy.ts";
import { DEFAULT_SAMPLER, type SamplerSettings } from "../sampling/sampler.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { ProtocolError } from "./errors.ts";
import { FEATURES, neededFeatures, OWN_LIMITS, peerOf, usedFeatures } from "./features.ts";
import { type HelloFrame, type OpenFrame, PROTOCOL_LIMITS } from "./frame.ts";

const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const bytesOf = (text: string) => {
  const digits = text.replaceAll(" ", "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
};

describe.each(GOLDEN)("$name", ({ frame, hex: golden }) => {
  it("encodes to the documented bytes", () => {
    expect(hex(encode(frame))).toBe(golden.replaceAll(" ", ""));
  });

  it("decodes to itself, at any alignment", () => {
    for (let offset = 0; offset < 8; offset++) {
      const bytes = bytesOf(golden);
      const shifted = new Uint8Array(new ArrayBuffer(bytes.length + offset), offset);
      shifted.set(bytes);
      expect(decode(shifted)).toEqual(frame);
    }
  });

  it("is refused when it ends early or late, at every byte", () => {
    const bytes = bytesOf(golden);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decode(bytes.slice(0, length)), `cut to ${length}`).toThrow(ProtocolError);
    }
    const longer = new Uint8Array(bytes.length + 1);
    longer.set(bytes);
    expect(() => decode(longer)).toThrow(ProtocolError);
  });

  it("ends in a frame or a ProtocolError whatever byte is changed", () => {
    const bytes = bytesOf(golden);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (index, flip) => {
        const changed = bytes.slice();
        changed[index] = changed[index]! ^ flip;
        try {
          decode(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("decode", () => {
  it("survives garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(17), (bytes, type) => {
        if (bytes.length > 0) bytes[0] = type;
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { numRuns: 3000 },
    );
  });

  it("reads arrays in place when the buffer is aligned", () => {
    const bytes = encode(GOLDEN[0]!.frame);
    const frame = decode(bytes);
    expect(frame.type === "draft" && frame.tokens.buffer === bytes.buffer).toBe(true);
  });

  it.each([
    [
      "a probability above 1",
      "04 01 0100 07000000 02000000 14000000 12000000 00000000 0b000000 00000040",
      "no probability",
    ],
    [
      "a probability that is no number",
      "04 01 0100 07000000 02000000 14000000 12000000 00000000 0b000000 0000c07f",
      "no probability",
    ],
    [
      "a negative token",
      "04 00 0100 07000000 02000000 14000000 12000000 00000000 ffffffff",
      "-1 is no token id",
    ],
    ["a huge lineage", "04 00 0000 07000000 ffffffff 14000000 12000000 00000000", "lineage is 4294967295"],
    ["an unknown type", "63 00 0000 00000000", "no frame type 99"],
  ])("refuses %s", (_, text, message) => {
    expect(() => decode(bytesOf(text))).toThrow(message);
  });

  it("keeps the published sizes: 24 bytes a draft frame and 8 a draft, 20 bytes a verdict of one token", () => {
    const size = (name: string) => encode(GOLDEN.find((golden) => golden.name === name)!.frame).length;
    expect(size("draft, rejection coupling")).toBe(24 + 2 * 8);
    expect(size("verdict, one token")).toBe(20);
  });
});

/** A control frame with this JSON, which may be text that JSON.stringify would not write. */
function control(type: number, json: unknown): Uint8Array {
  const text = typeof json === "string" ? json : JSON.stringify(json);
  return Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(text));
}

const HELLO = { protocol: 1, client: "me/1", fingerprint: "ab" };
const hello = (more: object) => decode(control(1, { ...HELLO, ...more })) as HelloFrame;
const golden = (name: string) => GOLDEN.find((one) => one.name === name)!.frame;
const WELCOME = golden("welcome");

describe("hello and welcome", () => {
  const names = (count: number, units = 8) =>
    Array.from({ length: count }, (_, i) => String(i).padStart(units, "x"));

  it.each([
    ["too many features", { features: names(65) }, "features"],
    ["a name that is too long", { features: names(1, 65) }, "features.0"],
    ["features that are no list", { features: { 0: "identity" } }, "features"],
    ["a feature that is no name", { features: [1] }, "features.0"],
    ["no features, as null", { features: null }, "features"],
    ["bounds that are no object", { limits: [1] }, "limits"],
    ["a bound of 0", { limits: { frameBytes: 0 } }, "limits.frameBytes"],
    ["a bound below 0", { limits: { sessions: -1 } }, "limits.sessions"],
    ["a bound that is not whole", { limits: { draftTokens: 1.5 } }, "limits.draftTokens"],
    ["a bound that is text", { limits: { promptTokens: "9" } }, "limits.promptTokens"],
  ])("with %s are refused", (_, more, place) => {
    const target = WELCOME.type === "welcome" && WELCOME.target;
    for (const [type, base] of [
      [1, HELLO],
      [2, { protocol: 1, server: "s", target }],
    ] as const) {
      expect(() => decode(control(type, { ...base, ...more }))).toThrow(`is wrong at ${place}: `);
    }
  });

  it("may list as much as the limits allow, and bounds of any size", () => {
    const frame = hello({ features: names(64, 64), limits: { frameBytes: 2 ** 50 } });
    expect(frame.features).toHaveLength(PROTOCOL_LIMITS.features);
    expect(peerOf(frame)).toEqual({ software: "me/1", features: new Set(), limits: OWN_LIMITS });
  });

  it.each([
    ["a part that is missing", { cpuBuild: undefined }, "cpuBuild"],
    ["a part that is no text", { weights: 7 }, "weights"],
    ["a part that is too long", { library: "x".repeat(513) }, "library"],
  ])("an identity with %s is refused", (_, more, part) => {
    const { type: _type, ...body } = WELCOME as Extract<typeof WELCOME, { type: "welcome" }>;
    const target = { ...body.target, identity: { ...body.target.identity, ...more } };
    expect(() => decode(control(2, { ...body, target }))).toThrow(`target.identity.${part}`);
  });

  it("without lists are of release 0.1", () => {
    expect(peerOf(hello({}))).toEqual({ software: "me/1", features: new Set(), limits: OWN_LIMITS });
  });

  it("agree on what both list, and on the smaller bounds", () => {
    const { features, limits } = peerOf(
      hello({ features: ["identity", "time-travel"], limits: { draftTokens: 9, sessions: 2 } }),
    );
    expect([...features]).toEqual(["identity"]);
    expect(limits).toEqual({ ...OWN_LIMITS, draftTokens: 9, sessions: 2 });
  });

  it("with names that every object has are harmless", () => {
    const odd = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    expect(peerOf(hello({ features: odd })).features.size).toBe(0);
    const text =
      '{"protocol":1,"client":"c","fingerprint":"","limits":{"__proto__":{"frameBytes":1}},"__proto__":{"features":["identity"]}}';
    expect(peerOf(decode(control(1, text)) as HelloFrame)).toMatchObject({
      limits: OWN_LIMITS,
      features: new Set(),
    });
    expect(({} as { frameBytes?: number }).frameBytes).toBeUndefined();
  });

  it("end in a frame or a ProtocolError whatever JSON the new fields hold", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (features, limits, identity) => {
        const { type: _, ...body } = WELCOME as Extract<typeof WELCOME, { type: "welcome" }>;
        const target = { ...body.target, identity };
        for (const bytes of [
          control(1, { ...HELLO, features, limits }),
          control(2, { ...body, target, features, limits }),
          openWith({ grammar: features, sampler: limits }),
        ]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe("unknown fields", () => {
  it.each([["hello"], ["welcome"], ["done"], ["error"]])("of %s are ignored", (name) => {
    const frame = golden(name);
    const bytes = encode(frame);
    const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8)));
    const more = { later: { deep: [1] }, type: "open", session: 99 };
    const changed = new TextEncoder().encode(JSON.stringify({ ...json, ...more }));
    expect(decode(Uint8Array.of(...bytes.subarray(0, 8), ...changed))).toEqual(frame);
  });

  it("of open are ignored, but in its sampler", () => {
    expect(decode(openWith({ later: 1, session: 99, plainGrammar: true }))).toEqual(golden("open"));
    expect(() => decode(openWith({ sampler: { later: 1 } }))).toThrow(ProtocolError);
  });
});

/** The golden open with other JSON; the fields of `sampler` beside those that it has. */
function openWith(more: Readonly<Record<string, unknown>>): Uint8Array {
  const bytes = encode(golden("open"));
  const start = 16 + 4 * 3;
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(start)));
  const { sampler } = more;
  const isObject = typeof sampler === "object" && sampler !== null && !Array.isArray(sampler);
  const changed = { ...json, ...more, ...(isObject ? { sampler: { ...json.sampler, ...sampler } } : {}) };
  const text = new TextEncoder().encode(JSON.stringify(changed));
  const frame = new Uint8Array(start + text.length);
  frame.set(bytes.subarray(0, start));
  new DataView(frame.buffer).setUint32(12, text.length, true);
  frame.set(text, start);
  return frame;
}

describe("an open", () => {
  it.each([
    ["a kind that is not known", { grammar: { kind: "peg", source: "x" } }, "unsupported", /"peg"/],
    ["a kind __proto__", { grammar: { kind: "__proto__", source: "x" } }, "unsupported", /"__proto__"/],
    ["a kind constructor", { grammar: { kind: "constructor", source: "x" } }, "unsupported", /"constructor"/],
    ["a kind that is too long", { grammar: { kind: "x".repeat(65), source: "x" } }, "bad_frame", /grammar/],
    ["a kind that is no text", { grammar: { kind: 1, source: "x" } }, "bad_frame", /grammar/],
    ["no source", { grammar: { kind: "ebnf" } }, "bad_frame", /grammar/],
    ["an empty source", { grammar: { kind: "ebnf", source: "" } }, "bad_frame", /grammar/],
    [
      "a source over the limit",
      { grammar: { kind: "ebnf", source: "x".repeat(262_145) } },
      "bad_frame",
      /grammar/,
    ],
    ["a grammar that is null", { grammar: null }, "bad_frame", /grammar/],
    ["a later sampler setting", { sampler: { none: 1 } }, "unsupported", /sampler setting "none"/],
    ["one of an odd name", { sampler: { hasOwnProperty: 1 } }, "unsupported", /"hasOwnProperty"/],
    ["one of a long name", { sampler: { ["n".repeat(5000)]: 1 } }, "unsupported", /"n{64}"/],
  ])("with %s costs the session only", (_, more, code, message) => {
    expect(() => decode(openWith(more))).toThrow(
      expect.objectContaining({ code, session: 7, message: expect.stringMatching(message) }),
    );
  });

  it("needs a feature for what release 0.1 would drop, and for nothing else", () => {
    const features = (sampler: object, grammar?: object) =>
      neededFeatures({
        sampler: { ...DEFAULT_SAMPLER, ...sampler } as SamplerSettings,
        ...(grammar ? { grammar: grammar as Grammar } : {}),
      }).map(({ feature }) => feature);
    expect(features({ temperature: 0.3, topK: 5 })).toEqual([]);
    expect(features({ topNSigma: 1.5 })).toEqual(["sampler:topNSigma"]);
    expect(features({}, { kind: "ebnf", source: "x" })).toEqual([]);
    expect(features({}, { kind: "regex", source: "x" })).toEqual(["grammar:regex"]);
    const open = golden("open with a grammar") as OpenFrame;
    expect(usedFeatures(open)).toEqual([{ feature: "grammar-kinds", setting: "grammar" }]);
    expect(usedFeatures({ ...open, plainGrammar: true })).toEqual([]);
    expect(usedFeatures(golden("open") as OpenFrame)).toEqual([]);
  });

  it("sends what release 0.1 lacks only where it is not at its default", () => {
    const sent = (sampler: SamplerSettings) => {
      const open = golden("open") as OpenFrame;
      const bytes = encode({ ...open, settings: { ...open.settings, policy: POLICIES.picospec, sampler } });
      return new TextDecoder().decode(bytes);
    };
    for (const name of FEATURES.filter((feature) => feature.startsWith("sampler:"))) {
      expect(sent(DEFAULT_SAMPLER)).not.toContain(`"${name.slice("sampler:".length)}"`);
    }
    expect(sent({ ...DEFAULT_SAMPLER, later: 2 } as SamplerSettings)).toContain('"later":2');
  });
});
