import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findKey, keyLine, parseKeys } from "./keys.ts";
import { TENANT_ROWS, UNLIMITED } from "./tenant.ts";

const HASH = "0123456789abcdef".repeat(4);
const OTHER = "f".repeat(64);

describe("parseKeys", () => {
  it("reads names, hashes and limits, and skips comments and empty lines", () => {
    const text = `# our tenants\n\nalice sha256:${HASH}\r\nbob sha256:${OTHER} sessions=8 weight=2 context=4096 # a test\n`;
    expect(parseKeys(text)).toEqual([
      { hash: HASH, tenant: { name: "alice", keyId: "0123456789ab", weight: 1, limits: UNLIMITED } },
      {
        hash: OTHER,
        tenant: {
          name: "bob",
          keyId: "ffffffffffff",
          weight: 2,
          limits: { ...UNLIMITED, sessions: 8, contextTokens: 4096 },
        },
      },
    ]);
  });

  it.each([
    [`a/b sha256:${HASH}`, /line 1: a key's name has 1 to 64 letters/],
    ["alice", /line 1: after the name comes sha256/],
    [`alice sha256:${HASH.slice(1)}`, /line 1: after the name/],
    [`alice sha256:${HASH} sessions=0`, /sessions is a whole number from 1 to 100000, not "0"/],
    [`alice sha256:${HASH} sessions=1e99`, /sessions is a whole number/],
    [`alice sha256:${HASH} sessions`, /not ""/],
    [`alice sha256:${HASH} seats=3`, /"seats=3" is no setting of a key: sessions, tokens-per-minute/],
    [`alice sha256:${HASH} constructor=3`, /no setting of a key/],
    [`alice sha256:${HASH} weight=1 weight=2`, /weight is given twice/],
    [`alice sha256:${HASH}\nalice sha256:${OTHER}`, /line 2: alice is there twice/],
  ])("says what is wrong with %j", (text, message) => {
    expect(() => parseKeys(text)).toThrow(message);
  });

  it("reads what it writes", () => {
    const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 64, maxLength: 64 });
    const limit = fc.option(fc.integer({ min: 16, max: 1000 }), { nil: Number.POSITIVE_INFINITY });
    const limits = fc.record({
      sessions: limit,
      tokensPerMinute: limit,
      promptTokens: limit,
      contextTokens: limit,
    });
    fc.assert(
      fc.property(hex, limits, fc.integer({ min: 1, max: 1000 }), (hash, given, weight) => {
        const tenant = { name: "x.y@z-1", keyId: hash.slice(0, 12), weight, limits: given };
        expect(parseKeys(keyLine({ hash, tenant }))).toEqual([{ hash, tenant }]);
      }),
    );
    expect(Object.keys(TENANT_ROWS)).toHaveLength(5);
  });
});

describe("findKey", () => {
  const records = parseKeys(`alice sha256:${HASH}\nbob sha256:${OTHER}`);

  it("finds a key by its whole hash and by nothing less", () => {
    expect(findKey(records, OTHER)?.tenant.name).toBe("bob");
    for (const wrong of [
      "",
      HASH.slice(0, 63),
      `${HASH}0`,
      HASH.replace(/^0/, "1"),
      HASH.replace(/f$/, "e"),
    ]) {
      expect(findKey(records, wrong)).toBeNull();
    }
  });
});
