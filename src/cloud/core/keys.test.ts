import { describe, expect, it } from "vitest";
import { error, hello, sent, Talk } from "../../../test/support/cloud-talk.ts";
import { POLICIES } from "../../decoding/policy.ts";
import { type Tenant, UNLIMITED } from "../trust/tenant.ts";

describe("a key", () => {
  const tenant = (given: Partial<Tenant["limits"]>, name = "a", keyId = "1"): Tenant => {
    return { name, keyId, weight: 1, limits: { ...UNLIMITED, ...given } };
  };

  it("has its own bound of sessions, over all of its connections, and nobody else's", () => {
    const one = tenant({ sessions: 1 });
    const talk = new Talk().greet(1, one).greet(2, one).greet(3, tenant({}, "b"));
    talk.open(1);
    expect(error(talk.open(1, POLICIES.picospec, [1], 2))?.code).toBe("too_many_sessions");
    expect(error(talk.open(1, POLICIES.picospec, [1], 3))).toBeUndefined();
    talk.event({ kind: "disconnected", connection: 1 });
    expect(error(talk.open(2, POLICIES.picospec, [1], 2))).toBeUndefined();
  });

  it("has its own context, which the welcome tells", () => {
    const talk = new Talk();
    talk.event({ kind: "connected", connection: 1, tenant: tenant({ contextTokens: 20 }) });
    const [welcome] = sent(talk.say(hello));
    expect(welcome?.type === "welcome" && welcome.target.contextTokens).toBe(20);
    expect(error(talk.open(1, POLICIES.picospec, new Array(20).fill(1)))?.code).toBe("prompt_too_long");
    expect(error(talk.open(1, POLICIES.picospec, new Array(19).fill(1)))).toBeUndefined();
  });

  it("is refused what it has used up, with a time to come back, and only it", () => {
    const metered = tenant({ tokensPerMinute: 60 });
    const talk = new Talk().greet(1, metered).greet(2);
    talk.open(1, POLICIES.picospec, new Array(49).fill(1));
    talk.event({ kind: "disconnected", connection: 1 });
    talk.greet(3, metered);
    talk.open(1, POLICIES.picospec, new Array(12).fill(1), 3);
    const refused = error(talk.open(2, POLICIES.picospec, [1], 3));
    expect(refused).toMatchObject({ session: 2, code: "quota_exceeded", retryAfterMs: 2000 });
    expect(error(talk.open(1, POLICIES.picospec, [1], 2))).toBeUndefined();
    talk.nowMs = 2000;
    talk.say({ type: "cancel", session: 1 }, 3);
    expect(error(talk.open(2, POLICIES.picospec, [1], 3))).toBeUndefined();
  });

  it("ends its connections when it is revoked, and no others", () => {
    const talk = new Talk().greet(1, tenant({}, "a")).greet(2, tenant({}, "b")).greet(3);
    talk.open(1);
    const effects = talk.event({ kind: "tenants", tenants: new Map([["b", tenant({}, "b")]]) });
    expect(error(effects)).toMatchObject({ session: 0, code: "bad_key" });
    expect(effects.filter(({ kind }) => kind === "close")).toEqual([{ kind: "close", connection: 1 }]);
    expect(talk.cloud.connections).toBe(2);
  });
});
