import { afterEach, describe, expect, it, vi } from "vitest";
import { Cloud } from "../cloud/driver.ts";
import { POLICIES, type PolicyName } from "../decoding/policy.ts";
import { ToyDraftModel } from "../engine/toy/draft-model.ts";
import { ToyPassEngine } from "../engine/toy/pass-engine.ts";
import { wireLink } from "../protocol/link.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/settings.ts";
import { memoryPair } from "../transport/memory.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { Connection } from "./connection.ts";
import type { Outcome } from "./core/machine.ts";
import { EdgeSession } from "./core/session.ts";
import { ParallelDrafter } from "./drafters/parallel-drafter.ts";
import { LocalOpener } from "./local-opener.ts";
import { RemoteOpener } from "./opener.ts";

const language = {
  seed: toSeed(1),
  vocabularySize: 12,
  order: 2,
  spread: 3,
  divergence: 2,
  contextTokens: 60,
};

interface One {
  readonly tokens: number[];
  outcome: Outcome | null;
}

/** Two sessions of one edge; `broken` is the first one's number. */
function run(policy: PolicyName, failed: ((error: unknown) => void) | null, throwing?: { drafter: true }) {
  const clock = new VirtualClock();
  const cloud = new Cloud({
    model: new ToyPassEngine(language, clock, { kvSlots: 2 }),
    description: { name: "toy", fingerprint: "toy", endTokens: [0], chatTemplate: null },
    ...{ clock, server: "test" },
  });
  const drafter = new ParallelDrafter(new ToyDraftModel(language, clock));
  if (throwing) {
    const { propose } = drafter;
    drafter.propose = (request) => {
      if (request.owner === 1) throw new TypeError("a fault of ours");
      propose.call(drafter, request);
    };
  }
  const last = failed ? { failed } : {};
  const ask = (opener: RemoteOpener | LocalOpener): One => {
    const one: One = { tokens: [], outcome: null };
    const settings = { policy: POLICIES[policy], sampler: samplerSettings(), seed: toSeed(3), maxTokens: 9 };
    opener.open(settings, Int32Array.of(1, 2), {
      token: (token) => one.tokens.push(token),
      finished: (outcome) => {
        one.outcome = outcome;
      },
    });
    return one;
  };
  const ones: One[] = [];
  if (policy === "edge") {
    const own = { name: "small", endTokens: [0], chatTemplate: null, grammars: null };
    const local = new LocalOpener({ drafter, clock, ...own, ...last });
    ones.push(ask(local), ask(local));
    clock.run();
    local.checkIntegrity();
    return ones;
  }
  const [near, far] = memoryPair(clock);
  cloud.accept(far);
  const client = new RemoteOpener({
    ...{ link: wireLink(near), reconnect: null, reconnectWithinMs: 0, secret: null, fingerprint: "toy" },
    ...{ drafter, clock, client: "test", ...last },
    ready: (error, opener) => {
      if (error) throw error;
      ones.push(ask(opener), ask(opener));
    },
  });
  clock.run();
  drafter.checkIntegrity(client.sequences());
  expect(cloud.openSessions).toBe(0);
  return ones;
}

/** The first session's machine throws at this event. */
function breakMachine(kind: string, always: boolean): void {
  const real = EdgeSession.prototype.handle;
  let broken = false;
  vi.spyOn(EdgeSession.prototype, "handle").mockImplementation(function (this: EdgeSession, event, nowMs) {
    const isFirst = (this as unknown as { id: number }).id === 1;
    if (isFirst && (event.kind === kind || (always && broken))) {
      broken = true;
      throw new TypeError("a fault of ours");
    }
    return real.call(this, event, nowMs);
  });
}

const FAULT = expect.objectContaining({ message: "a fault of ours" });
const INTERNAL = { kind: "failed", code: "internal" };

afterEach(() => vi.restoreAllMocks());

describe("a fault of ours on the edge costs its session, is told, and all others go on:", () => {
  it.each(["race", "picospec", "edge"] as const)("in what drafts, under %s", (policy) => {
    const faults: unknown[] = [];
    const [broken, whole] = run(policy, (error) => faults.push(error), { drafter: true });
    expect(faults).toEqual([FAULT]);
    expect(broken!.outcome).toMatchObject(INTERNAL);
    expect(whole!.outcome).toMatchObject({ kind: "done" });
  });

  it.each([
    ["frame", false],
    ["drafted", false],
    ["start", false],
    ["frame", true],
  ] as const)("in its machine, at %s; and again in its end: %s", (kind, always) => {
    const faults: unknown[] = [];
    breakMachine(kind, always);
    const [broken, whole] = run("race", (error) => faults.push(error));
    expect(faults[0]).toEqual(FAULT);
    expect(broken!.outcome).toMatchObject(INTERNAL);
    expect(whole!.outcome).toMatchObject({ kind: "done" });
    expect(whole!.tokens.length).toBeGreaterThan(0);
  });

  it("in a link's own handling: the link ends, with its sessions", () => {
    const faults: unknown[] = [];
    vi.spyOn(Connection.prototype as unknown as { ponged(): void }, "ponged").mockImplementation(() => {
      throw new TypeError("a fault of ours");
    });
    const ones = run("race", (error) => faults.push(error));
    expect(faults).toEqual([FAULT]);
    for (const { outcome } of ones) expect(outcome).toMatchObject(INTERNAL);
  });

  it("control: without the last resort it is thrown to whoever brought the event", () => {
    breakMachine("frame", false);
    expect(() => run("race", null)).toThrow("a fault of ours");
  });
});
