import { afterEach, describe, expect, it, vi } from "vitest";
import { Gateway } from "../../src/cloud/live/gateway.ts";
import { LiveSession } from "../../src/cloud/live/session.ts";
import { ToyLiveEngine } from "../../src/engine/toy/live-engine.ts";
import { Broken } from "../fuzz/hold.ts";
import { trySeed } from "../fuzz/search.ts";

/**
 * The fault search over engines that decode by themselves: they take the runs that they like into each step, take
 * their own time, and lose offers or get them late. The text is the oracle's all the same.
 */
const SEEDS = 3000;

// biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
type Inside = any;

/** The method of every object of this type does something else. */
function sabotage(
  type: { readonly prototype: unknown },
  method: string,
  instead: (self: Inside, real: (...args: Inside[]) => Inside, args: Inside[]) => unknown,
): void {
  const prototype = type.prototype as Inside;
  const real = prototype[method];
  vi.spyOn(prototype, method).mockImplementation(function (this: Inside, ...args: Inside[]) {
    return instead(this, (...given) => real.apply(this, given), args);
  });
}

/** What the search says first that fits, or what it says otherwise. */
function found(says: RegExp, seeds = 1500): string {
  const others = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    try {
      trySeed(seed, undefined, "live");
    } catch (error) {
      const { cause, message } = error as Error;
      if (cause instanceof Broken && says.test(message)) return message;
      others.add(cause instanceof Broken ? message.replace(/.*?: /, "").slice(0, 80) : `${cause}`);
    }
    if (others.size > 20) break;
  }
  return `${seeds} seeds, and only ${[...others].join("; ") || "nothing"}`;
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the fault search over live engines", () => {
  it(`finds nothing in ${SEEDS} worlds, and meets all there is`, () => {
    const pauses = vi.spyOn(LiveSession.prototype as Inside, "pause");
    const offers = vi.spyOn(LiveSession.prototype as Inside, "offer");
    const happened = new Map<string, number>();
    for (let seed = 0; seed < SEEDS; seed++) {
      for (const [name, count] of trySeed(seed, undefined, "live").happened)
        happened.set(name, (happened.get(name) ?? 0) + count);
    }
    const least: Record<string, number> = {
      "fault break": 500,
      "fault late": 500,
      "fault freeze": 250,
      "server crash": 600,
      "server shutdown": 200,
      "failure internal": 50,
      "failed server_full": 25,
      "failed too_many_sessions": 50,
      "done cancelled": 200,
      "drafted by both": 1000,
      resumed: 1500,
      "late open": 40,
      "error superseded": 8,
    };
    for (const [name, count] of Object.entries(least)) {
      expect(happened.get(name) ?? 0, name).toBeGreaterThanOrEqual(count);
    }
    expect(pauses.mock.calls.length).toBeGreaterThan(20);
    expect(offers.mock.calls.length).toBeGreaterThan(10_000);
  });

  it("gives the same text whatever is offered: drafts are hints", () => {
    let garbled = 0;
    sabotage(LiveSession, "engine", (_, real, [effect, out]) => {
      if (effect.kind !== "offer") return real(effect, out);
      garbled++;
      const tokens = effect.tokens.map((token: number, i: number) => (token + garbled + i) % 6);
      return real({ ...effect, position: effect.position + (garbled % 3) - 1, tokens }, out);
    });
    for (let seed = 0; seed < 150; seed++) trySeed(seed, undefined, "live");
    expect(garbled).toBeGreaterThan(500);
  });
});

describe("the search over live engines catches", () => {
  it("an engine that believes the drafts", () => {
    sabotage(ToyLiveEngine, "decode", (_, real, [run]) => {
      const first = run.tokens.length;
      const token = run.offer?.tokens[first - run.offer.position];
      if (token === undefined) return real(run);
      run.tokens.push(token);
      return { first, tokens: Int32Array.of(token), logprobs: null, rows: 1 };
    });
    expect(found(/text: .* would have been right|agreement: /)).toMatch(/text|agreement/);
  });

  it("a session that takes the steps of a run that was cancelled", () => {
    sabotage(Gateway, "perform", (self, real, [effect]) => {
      // The run goes on, and its steps are told as those of the next one.
      if (effect.kind === "cancelRun") self.runs.delete(effect.session);
      else real(effect);
    });
    sabotage(LiveSession, "committed", (self, real, [, step, nowMs, out]) =>
      real(self.phase.kind === "running" ? self.phase.run : -1, step, nowMs, out),
    );
    expect(found(/outcome: .*(model_output|internal)/)).toMatch(/outcome/);
  });

  it("a session that never goes on after a pause", () => {
    sabotage(LiveSession, "pause", (self, real, args) => {
      real(...args);
      // What it knows of the edge's reading stops here.
      Object.defineProperty(self, "edgeCommitted", { value: 0, writable: false });
    });
    expect(found(/outcome: .* never ends|integrity: .* ahead of its edge|Cannot assign/)).toMatch(
      /outcome|integrity|Cannot assign/,
    );
  });

  it("a session that runs ahead of an edge that hears nothing", () => {
    sabotage(LiveSession, "pause", () => {});
    expect(found(/integrity: .* tokens ahead of its edge/)).toMatch(/integrity/);
  });

  it("a gateway that keeps the runs of sessions that are gone", () => {
    sabotage(Gateway, "perform", (_, real, [effect]) => {
      if (effect.kind !== "cancelRun") real(effect);
    });
    expect(found(/integrity: .* runs are open for/)).toMatch(/integrity/);
  });

  it("a step that is lost on the way to the session", () => {
    let steps = 0;
    sabotage(LiveSession, "committed", (_, real, args) => {
      if (++steps % 50 !== 0) real(...args);
    });
    expect(found(/outcome: .*model_output/)).toMatch(/outcome/);
  });
});
