import { describe, expect, it } from "vitest";
import { Allowance } from "./allowance.ts";
import { type Tenant, UNLIMITED } from "./tenant.ts";
import { Tenants } from "./tenants.ts";

const tenant = (name: string, limits: Partial<Tenant["limits"]> = {}, keyId = "1"): Tenant => {
  return { name, keyId, weight: 1, limits: { ...UNLIMITED, ...limits } };
};
const asked = { promptTokens: 10, open: 0, resumes: false };

describe("Allowance", () => {
  it("lets a minute's worth be used at once, and then what the rate gives", () => {
    const allowance = new Allowance(600, 0);
    allowance.use(600, 0);
    expect(allowance.waitMs(0)).toBe(100);
    expect(allowance.waitMs(100)).toBe(0);
    allowance.use(601, 100);
    // 600 are missing now: a minute.
    expect(allowance.waitMs(100)).toBe(60_100);
  });

  it("keeps no more than a minute's worth", () => {
    const allowance = new Allowance(600, 0);
    allowance.use(600, 3_600_000);
    expect(allowance.waitMs(3_600_000)).toBe(100);
  });

  it("takes its debt along to another rate", () => {
    const before = new Allowance(600, 0);
    before.use(1200, 0);
    expect(new Allowance(60, 0, before).waitMs(0)).toBe(601_000);
  });
});

describe("Tenants", () => {
  it("makes connections of one key one principal, and others none of it", () => {
    const tenants = new Tenants();
    tenants.connected(1, tenant("a"), 0);
    tenants.connected(2, tenant("a"), 0);
    tenants.connected(3, tenant("b"), 0);
    tenants.connected(4, null, 0);
    tenants.connected(5, tenant("connection 4"), 0);
    const principals = [1, 2, 3, 4, 5].map((connection) => tenants.principalOf(connection));
    expect(principals[0]).toBe(principals[1]);
    expect(new Set(principals).size).toBe(4);
  });

  it("knows a secret as its tenant's own", () => {
    const tenants = new Tenants();
    tenants.connected(1, tenant("a"), 0);
    tenants.connected(2, tenant("b"), 0);
    tenants.connected(3, tenant("a"), 0);
    tenants.connected(4, null, 0);
    const secrets = [1, 2, 3, 4].map((connection) => tenants.resumeKeyOf(connection, "s".repeat(16)));
    expect(secrets[0]).toBe(secrets[2]);
    expect(new Set(secrets).size).toBe(3);
  });

  it("lets a connection without a key prove whose it is, and one with a key not", () => {
    const tenants = new Tenants();
    tenants.connected(1, null, 0);
    tenants.connected(2, tenant("a"), 0);
    for (const connection of [1, 2]) tenants.adopt(connection, "connection 9");
    expect(tenants.principalOf(1)).toBe("connection 9");
    expect(tenants.principalOf(2)).toBe("key a");
  });

  it("refuses what is over a key's limits, each by its code", () => {
    const tenants = new Tenants();
    tenants.connected(1, tenant("a", { sessions: 2, promptTokens: 20, tokensPerMinute: 100 }), 0);
    const code = (given: Partial<typeof asked>) => tenants.refusal(1, { ...asked, ...given }, 0)?.code;
    expect(code({})).toBeUndefined();
    expect(code({ open: 2 })).toBe("too_many_sessions");
    expect(code({ promptTokens: 21 })).toBe("prompt_too_long");
    tenants.opened(7, 1, 10, false, 0);
    tenants.settle(7, 100, 0);
    expect(tenants.refusal(1, asked, 0)).toMatchObject({ code: "quota_exceeded", retryAfterMs: 600 });
    // What goes on is not stopped in the middle.
    expect(code({ resumes: true })).toBeUndefined();
  });

  it("counts a token once, however often it is told of it, and over a resumption", () => {
    const tenants = new Tenants();
    tenants.connected(1, tenant("a", { tokensPerMinute: 100 }), 0);
    tenants.opened(7, 1, 10, false, 0);
    for (let i = 0; i < 5; i++) tenants.settle(7, 60, 0);
    tenants.ended(7, 60, 0);
    tenants.opened(8, 1, 60, true, 0);
    tenants.ended(8, 99, 0);
    expect(tenants.refusal(1, asked, 0)).toBeNull();
    tenants.opened(9, 1, 1, false, 0);
    expect(tenants.refusal(1, asked, 0)?.code).toBe("quota_exceeded");
    tenants.ended(9, 1, 0);
    tenants.checkIntegrity(1, () => false);
  });

  it("names the connections of revoked keys, and goes on counting those of the others", () => {
    const tenants = new Tenants();
    const metered = tenant("a", { tokensPerMinute: 100 });
    tenants.connected(1, metered, 0);
    tenants.connected(2, tenant("b"), 0);
    tenants.connected(3, tenant("c", {}, "1"), 0);
    tenants.connected(4, null, 0);
    tenants.opened(7, 1, 150, false, 0);
    const now = new Map([metered, tenant("c", {}, "2")].map((one) => [one.name, one]));
    expect(tenants.replace(now, 0)).toEqual([2, 3]);
    expect(tenants.refusal(1, asked, 0)?.code).toBe("quota_exceeded");
    const wider = new Map([["a", tenant("a", { tokensPerMinute: 1000, sessions: 1 })]]);
    expect(tenants.replace(wider, 0)).toContain(3);
    expect(tenants.refusal(1, { ...asked, open: 1 }, 0)?.code).toBe("too_many_sessions");
  });
});
