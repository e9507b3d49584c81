import { afterEach, describe, expect, it, vi } from "vitest";
import type { Adapter, Engine } from "../../lab/conformance/adapter.ts";
import { CONFORMANCE } from "../../lab/conformance/checks.ts";
import type { Capabilities } from "../../src/engine/capabilities.ts";
import { ToyLiveEngine } from "../../src/engine/toy/live-engine.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { assert } from "../../src/util/assert.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { TOY_LANGUAGE, toyAdapter } from "../support/toy-adapter.ts";

function adapterOf(name: string, make: (clock: VirtualClock, random: () => number) => Engine): Adapter {
  const clock = new VirtualClock();
  // A small generator of its own: what an engine draws need not be good, only the same each time.
  let state = 7;
  const random = () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  return {
    name,
    ...toyAdapter(clock),
    target: async () => make(clock, random),
    async until(done) {
      for (let steps = 0; !done(); steps++) {
        assert(steps < 1_000_000, "the engine never runs out of events");
        // Promises of the edge run between two steps of the clock.
        await null;
        if (done()) return;
        if (!clock.step()) {
          await null;
          assert(done(), "nothing is left to do, and what was waited for has not come");
        }
      }
    },
  };
}

const live = (given: Partial<Capabilities> = {}, lostOffers = 0.2) =>
  adapterOf("toy, live", (clock, random) => {
    const own = { runs: 3, random, stepMs: 5, lostOffers, offerMs: 4, capabilities: given };
    return new ToyLiveEngine(TOY_LANGUAGE, clock, own);
  });

const ADAPTERS: [string, () => Adapter][] = [
  [
    "toy, passes",
    () => adapterOf("toy, passes", (clock) => new ToyPassEngine(TOY_LANGUAGE, clock, { kvSlots: 3 })),
  ],
  [
    "toy, passes, a state that cannot be cut back",
    () =>
      adapterOf("toy, recurrent", (clock) => {
        return new ToyPassEngine(TOY_LANGUAGE, clock, { kvSlots: 3, rollback: "afterPass" });
      }),
  ],
  ["toy, live", () => live()],
  ["toy, live, that hears no offer", () => live({}, 1)],
  [
    "toy, live, without log-probabilities and top-k",
    () => live({ topLogprobs: -1, samplerSettings: ["temperature"] }),
  ],
];

describe.each(ADAPTERS)("%s", (name, adapter) => {
  // An engine that hears no offer accepts no draft, and one without top-k cannot be asked for these distributions.
  const checks = CONFORMANCE.filter(
    (check) =>
      !(name.includes("no offer") && check.name.includes("greedy text")) &&
      !(name.includes("top-k") && /distribution|same seed/.test(check.name)),
  );
  it.each(checks.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check.run(adapter());
  });
});

describe("the suite catches", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const caught = async (adapter: () => Adapter): Promise<string[]> => {
    const names: string[] = [];
    for (const check of CONFORMANCE) {
      await check.run(adapter()).catch(() => names.push(check.name));
    }
    return names;
  };

  it("a target whose KV is not rolled back", async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
    const broken = ToyPassEngine.prototype as any;
    const { item } = broken;
    let count = 0;
    vi.spyOn(broken, "item").mockImplementation(function (this: unknown, given: unknown) {
      const result = item.call(this, given);
      // What it says of its memory is too much, now and then.
      return ++count % 7 === 0 ? { ...result, resident: result.resident + 1 } : result;
    });
    expect(await caught(ADAPTERS[1]![1])).not.toEqual([]);
  });

  it("a live engine that believes the drafts", async () => {
    // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
    const broken = ToyLiveEngine.prototype as any;
    const { decode } = broken;
    // biome-ignore lint/suspicious/noExplicitAny: as above
    vi.spyOn(broken, "decode").mockImplementation(function (this: unknown, ...[run]: any[]) {
      const first = run.tokens.length;
      const token = run.offer?.tokens[first - run.offer.position];
      if (token === undefined) return decode.call(this, run);
      run.tokens.push(token);
      return { first, tokens: Int32Array.of(token), logprobs: null, rows: 1 };
    });
    expect(await caught(() => live({}, 0))).toContain(
      "rolls back: drafts that are mostly wrong change nothing",
    );
  });

  it("an engine that serves one session at a time", async () => {
    const names = await caught(() =>
      adapterOf("toy, one", (clock) => new ToyPassEngine(TOY_LANGUAGE, clock, { kvSlots: 1 })),
    );
    expect(names).toEqual(["serves many sessions at a time, within its bounds, each with its own text"]);
  });
});
