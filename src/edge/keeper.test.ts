import { describe, expect, it } from "vitest";
import { POLICIES } from "../decoding/policy.ts";
import { toSeed } from "../sampling/random.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { ConnectionError } from "../transport/transport.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { CloudError } from "./connection.ts";
import { Edge, type OfflineMode } from "./edge.ts";
import { type CloudState, Keeper } from "./keeper.ts";
import type { LocalOpener } from "./local-opener.ts";
import type { RemoteOpener } from "./opener.ts";

/** A cloud that is there or not, and the openers that lead to it. */
class FakeCloud {
  /** why it is not there; null: it is */
  away: CloudError | ConnectionError | null = new ConnectionError("unreachable", "no cloud answers");
  readonly triedAtMs: number[] = [];
  readonly openers: (RemoteOpener & { goes(finished?: number): void })[] = [];
  private readonly clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  readonly open = async (changed: () => void): Promise<RemoteOpener> => {
    this.triedAtMs.push(this.clock.nowMs());
    if (this.away) throw this.away;
    const state = { failed: null as CloudError | null, closed: false, finishedAnswers: 0 };
    const opener = {
      model: { name: "large", contextTokens: 100, chatTemplate: null },
      get gone() {
        return state.failed !== null || state.closed;
      },
      get isUp() {
        return !this.gone;
      },
      get failed() {
        return state.failed;
      },
      get finishedAnswers() {
        return state.finishedAnswers;
      },
      close() {
        state.closed = true;
      },
      goes(finished = 0) {
        state.finishedAnswers = finished;
        state.failed = new CloudError("connection_lost", "it broke");
        changed();
      },
    };
    this.openers.push(opener as never);
    return opener as never;
  };
}

function kept() {
  const clock = new VirtualClock();
  const cloud = new FakeCloud(clock);
  const told: CloudState[] = [];
  const keeper = new Keeper({ open: cloud.open, clock, random: null, changed: (state) => told.push(state) });
  /** Lets virtual time pass, and what waits on promises go on. */
  const runTo = async (untilMs: number) => {
    await turn();
    while (clock.step(untilMs)) await turn();
    clock.run(untilMs);
  };
  return { clock, cloud, keeper, told, runTo };
}

async function turn(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

const outcome = (promise: Promise<unknown>) => {
  const seen: { value: unknown } = { value: "waits" };
  promise.then(
    () => (seen.value = "there"),
    (error: { code: string }) => (seen.value = error.code),
  );
  return seen;
};

describe("a keeper", () => {
  it("tries once for who does not wait, and says why it failed; the next asks anew", async () => {
    const { cloud, keeper, runTo } = kept();
    await expect(keeper.wait(0)).rejects.toMatchObject({ code: "unreachable" });
    await runTo(60_000);
    expect(cloud.triedAtMs).toEqual([0]);
    cloud.away = null;
    expect(await keeper.wait(0)).toBe(cloud.openers[0]);
    expect(await keeper.wait(0)).toBe(cloud.openers[0]);
    expect(cloud.openers).toHaveLength(1);
  });

  it("tries again for who waits, until the time is over or the cloud comes", async () => {
    const { cloud, keeper, runTo } = kept();
    const [short, long] = [outcome(keeper.wait(2000)), outcome(keeper.wait(20_000))];
    await runTo(1999);
    expect([short.value, long.value]).toEqual(["waits", "waits"]);
    await runTo(2001);
    expect([short.value, long.value]).toEqual(["unreachable", "waits"]);
    cloud.away = null;
    await runTo(10_000);
    expect(long.value).toBe("there");
    expect(cloud.triedAtMs).toEqual([0, 500, 1500, 3500]);
  });

  it("that was started tries for ever, with bounded waits, and tells when the cloud comes and goes", async () => {
    const { cloud, keeper, told, runTo } = kept();
    keeper.start();
    await runTo(600_000);
    const waits = cloud.triedAtMs.slice(1).map((atMs, i) => atMs - cloud.triedAtMs[i]!);
    expect(waits.slice(0, 6)).toEqual([500, 1000, 2000, 4000, 8000, 10_000]);
    expect(new Set(waits.slice(6))).toEqual(new Set([10_000]));
    expect(told).toEqual([{ up: false, error: cloud.away }]);
    cloud.away = null;
    await runTo(620_000);
    expect(told.at(-1)).toEqual({ up: true, error: null });
    cloud.openers[0]!.goes();
    expect(told.at(-1)).toMatchObject({ up: false, error: { message: "it broke" } });
    await runTo(640_000);
    expect([told.at(-1)!.up, cloud.openers.length, told.length]).toEqual([true, 2, 4]);
  });

  it("tells nothing until the first try has ended", async () => {
    const { cloud, keeper, told, runTo } = kept();
    cloud.away = null;
    keeper.start();
    keeper.noteChanged();
    await runTo(100);
    expect(told).toEqual([{ up: true, error: null }]);
  });

  it("tries soon for a question that comes between two tries, however many come", async () => {
    const { cloud, keeper, runTo } = kept();
    keeper.start();
    await runTo(26_000);
    expect(cloud.triedAtMs.at(-1)).toBe(25_500);
    cloud.away = null;
    // The next try of its own would be at 35,500.
    const asked = Array.from({ length: 50 }, () => outcome(keeper.wait(1000)));
    await runTo(26_000);
    expect(asked.map(({ value }) => value)).toEqual(Array(50).fill("there"));
    expect(cloud.triedAtMs.length).toBe(8);
  });

  it("does not dial a cloud that is away at once again, however many ask", async () => {
    const { cloud, keeper, runTo } = kept();
    keeper.start();
    for (let ms = 0; ms < 60_000; ms += 10) {
      await runTo(ms);
      keeper.wait(1).catch(() => {});
    }
    expect(cloud.triedAtMs.length).toBeLessThanOrEqual(121);
  });

  it("does not dial a cloud that welcomes and drops at once again, until it has finished an answer", async () => {
    for (const finished of [0, 1]) {
      const { cloud, keeper, runTo } = kept();
      cloud.away = null;
      keeper.start();
      for (let ms = 0; ms < 300_000; ms += 100) {
        await runTo(ms);
        const latest = cloud.openers.at(-1)!;
        if (!latest.gone) latest.goes(finished);
      }
      if (finished === 0) expect(cloud.triedAtMs.length).toBeLessThan(40);
      // Control: a cloud that does its work is connected again after the first wait each time.
      else expect(cloud.triedAtMs.length).toBeGreaterThan(400);
    }
  });

  it("asks a cloud that refuses this edge once a minute, and lets no question wait for it", async () => {
    const { cloud, keeper, told, runTo } = kept();
    cloud.away = new ConnectionError("bad_key", "the key is wrong");
    keeper.start();
    await runTo(1);
    await expect(keeper.wait(30_000)).rejects.toMatchObject({ code: "bad_key" });
    await runTo(200_000);
    expect(told).toEqual([{ up: false, error: cloud.away }]);
    expect(cloud.triedAtMs.length).toBeLessThan(6);
  });

  it("lets a question go half a minute after its time where the first try does not end", async () => {
    const { clock, runTo } = kept();
    const keeper = new Keeper({ open: () => new Promise(() => {}), clock, random: null });
    const [short, none] = [outcome(keeper.wait(2000)), outcome(keeper.wait(Number.POSITIVE_INFINITY))];
    await runTo(31_999);
    expect(short.value).toBe("waits");
    await runTo(32_001);
    expect([short.value, none.value]).toEqual(["unreachable", "waits"]);
    keeper.close();
    await runTo(32_002);
    expect(none.value).toBe("closed");
  });

  it("that is closed lets go of its opener, refuses who waits, and tries no more", async () => {
    const { cloud, keeper, runTo } = kept();
    const waiting = outcome(keeper.wait(60_000));
    keeper.start();
    await runTo(100);
    keeper.close();
    await runTo(100_000);
    expect([waiting.value, cloud.triedAtMs]).toEqual(["closed", [0]]);
    await expect(keeper.wait(0)).rejects.toMatchObject({ code: "closed" });
  });
});

describe("who answers while the cloud is away", () => {
  const local = { model: { name: "small", contextTokens: 50, chatTemplate: null } } as unknown as LocalOpener;

  async function edge(offline: OfflineMode | null, small: LocalOpener | null = local) {
    const world = kept();
    const here = new Edge({
      ...{ remote: null, keeper: world.keeper, local: small, chatTemplate: null, freshSeed: () => toSeed(1) },
      ...{ tokenizer: {} as Tokenizer, policy: POLICIES.race, patienceMs: 5000 },
      ...(offline ? { offline } : {}),
    });
    world.keeper.start();
    await world.runTo(1);
    return { ...world, here };
  }

  it("wait: the question waits for the cloud, for its time", async () => {
    const { here, cloud, runTo } = await edge("wait");
    const [late, lucky] = [outcome(here.answerer()), outcome(here.answerer())];
    await runTo(5100);
    expect([late.value, lucky.value]).toEqual(["unreachable", "unreachable"]);
    const patient = here.answerer();
    cloud.away = null;
    await runTo(10_000);
    expect(await patient).toMatchObject({ standsIn: false, policy: POLICIES.race });
  });

  it("fail: at once, and no longer when the cloud is there", async () => {
    const { here, cloud, runTo } = await edge("fail");
    await expect(here.answerer()).rejects.toMatchObject({ code: "unreachable", message: "no cloud answers" });
    expect(here.cloud).toEqual({ up: false, error: cloud.away });
    cloud.away = null;
    await runTo(2000);
    expect(await here.answerer()).toMatchObject({ standsIn: false, opener: cloud.openers[0] });
  });

  it("edge: the small model alone, which is said, until the cloud is there", async () => {
    const { here, cloud, runTo } = await edge("edge");
    expect(await here.answerer()).toEqual({ opener: local, policy: POLICIES.edge, standsIn: true });
    expect(await here.answerer("edge")).toMatchObject({ opener: local, standsIn: false });
    cloud.away = null;
    await runTo(2000);
    expect(await here.answerer()).toMatchObject({ standsIn: false, opener: cloud.openers[0] });
    cloud.openers[0]!.goes();
    expect(await here.answerer()).toMatchObject({ standsIn: true });
  });

  it("knows no model's name before its cloud was there", async () => {
    const { here, cloud, runTo } = await edge("wait");
    expect(here.model).toBeNull();
    cloud.away = null;
    await runTo(2000);
    expect([here.model?.name, here.modelName]).toEqual(["large", "large"]);
  });
});
