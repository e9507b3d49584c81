import { describe, expect, it } from "vitest";
import { readExposition } from "../../../test/support/exposition.ts";
import { steadySchedule, World } from "../../../test/support/world.ts";
import type { SessionEnded, SessionIdentity } from "../../cloud/core/session.ts";
import { POLICIES, type PolicyName } from "../../decoding/policy.ts";
import { toSeed } from "../../sampling/random.ts";
import { CloudMetrics } from "./metrics.ts";

const language = {
  seed: toSeed(1),
  vocabularySize: 24,
  order: 2,
  spread: 5,
  divergence: 1,
  contextTokens: 300,
};

function worldOf(metrics: CloudMetrics, sequences = 4) {
  const schedule = { ...steadySchedule(20, 10, 2), sequences };
  const world = new World({ language, schedule, random: () => 0.5, observer: () => metrics });
  metrics.serving(world.cloud, sequences);
  return world;
}

const read = async (metrics: CloudMetrics) => readExposition(await metrics.text()).samples;
const PROMPT = [1, 2, 3, 4, 5, 6, 7];
const generate = (world: World, policy: PolicyName, seed: number, cancelAtMs?: number) =>
  world.generate(POLICIES[policy], PROMPT, toSeed(seed), 40, cancelAtMs === undefined ? {} : { cancelAtMs });

describe("a cloud's metrics", () => {
  it("are those of its sessions' own statistics", async () => {
    const metrics = new CloudMetrics("1.2.3");
    const world = worldOf(metrics);
    const runs = (["cloud", "vanilla", "picospec", "race"] as const).map((policy, i) =>
      generate(world, policy, i),
    );
    world.clock.run();
    const samples = await read(metrics);
    const statistics = runs.map((run) => run.statistics!);
    const sum = (of: (one: (typeof statistics)[number]) => number) =>
      statistics.reduce((total, one) => total + of(one), 0);
    const whose = '{principal="anonymous"}';
    expect(samples.get(`picospec_cloud_committed_tokens_total${whose}`)).toBe(sum((one) => one.tokens));
    expect(samples.get(`picospec_cloud_prompt_tokens_total${whose}`)).toBe(4 * PROMPT.length);
    expect(samples.get(`picospec_cloud_sessions_total${whose}`)).toBe(4);
    expect(samples.get("picospec_cloud_rows_total")).toBeGreaterThanOrEqual(
      sum((one) => one.usage!.targetRows),
    );
    expect(samples.get('picospec_cloud_received_bytes_total{type="draft"}')).toBe(
      sum((one) => one.uplinkBytes),
    );
    expect(samples.get('picospec_cloud_sent_bytes_total{type="verdict"}')).toBe(
      sum((one) => one.downlinkBytes),
    );
    expect(samples.get('picospec_cloud_sent_frames_total{type="done"}')).toBe(4);
    const ended = [...samples].filter(([name]) => name.startsWith("picospec_cloud_sessions_ended_total"));
    expect(ended.map(([, count]) => count)).toEqual([1, 1, 1, 1]);
    expect(samples.get("picospec_cloud_connections_total")).toBe(4);
    expect(samples.get("picospec_cloud_connections")).toBe(0);
    expect(samples.get("picospec_cloud_pass_seconds_count")).toBe(samples.get("picospec_cloud_passes_total"));
    expect(samples.get('picospec_build_info{version="1.2.3"}')).toBe(1);
  });

  it("count drafts as an edge does under rejection coupling, with the corrections that it sends", async () => {
    const metrics = new CloudMetrics("1");
    const world = worldOf(metrics);
    const run = generate(world, "picospec", 5);
    world.clock.run();
    const { accepted, rejected } = run.statistics!;
    const samples = await read(metrics);
    expect(rejected).toBeGreaterThan(0);
    expect(samples.get("picospec_cloud_drafts_rejected_total")).toBe(rejected);
    expect(samples.get("picospec_cloud_drafts_accepted_total")).toBe(accepted + rejected);
  });

  it("are there while sessions go on, and only grow", async () => {
    const metrics = new CloudMetrics("1");
    const world = worldOf(metrics, 2);
    for (let i = 0; i < 4; i++) generate(world, "race", i);
    const seen: number[] = [];
    let waited = 0;
    for (let i = 0; i < 400 && world.clock.step(); i++) {
      if (i % 20 > 0) continue;
      const samples = await read(metrics);
      seen.push(samples.get('picospec_cloud_committed_tokens_total{principal="anonymous"}') ?? 0);
      waited = Math.max(waited, samples.get("picospec_cloud_sessions_waiting")!);
      expect(samples.get("picospec_cloud_kv_slots_used")).toBeLessThanOrEqual(2);
    }
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(3);
    expect(waited).toBeGreaterThan(0);
  });

  it("tell refused handshakes and failed sessions by code", async () => {
    const metrics = new CloudMetrics("1");
    const world = worldOf(metrics);
    const link = world.link({ up: NO_DELAY, down: NO_DELAY });
    link.start({ message() {}, closed() {} });
    link.send(new Uint8Array([255, 1, 2]));
    const cancelled = generate(world, "race", 1, 30);
    world.clock.run();
    expect(cancelled.outcome).toMatchObject({ kind: "done", reason: "cancelled" });
    const samples = await read(metrics);
    expect(samples.get('picospec_cloud_handshakes_refused_total{code="bad_frame"}')).toBe(1);
    expect(samples.get('picospec_cloud_errors_total{code="bad_frame"}')).toBe(1);
    expect(samples.get('picospec_cloud_sessions_ended_total{policy="race",reason="cancelled"}')).toBe(1);
  });
});

const NO_DELAY = { delayMs: 0, jitterMs: 0, mbps: 1000 };

describe("principals", () => {
  const identity = (key: number, principal: string, epoch = 0): SessionIdentity => ({
    ...{
      key,
      connection: key,
      weight: 1,
      principal,
      isKeyed: true,
      id: 1,
      secret: null,
      resumeKey: null,
      epoch,
    },
  });
  const usage = (committedTokens: number): SessionEnded["usage"] => ({
    ...{ promptTokens: 10, committedTokens, targetPasses: 1, targetRows: 1, targetMs: 1, prefillPasses: 0 },
    ...{ fedTokens: 1, evictions: 0, reusedTokens: 0 },
  });
  const session = (metrics: CloudMetrics, who: SessionIdentity, brought: number, committed: number) => {
    metrics.opened({ identity: who, policy: POLICIES.race, promptTokens: 10, tokens: 10 + brought });
    metrics.ended({ identity: who, code: null, reason: "end", usage: usage(committed) });
  };

  it("are few labels, however many there are, and never a connection", async () => {
    const metrics = new CloudMetrics("1");
    for (let i = 0; i < 500; i++) session(metrics, identity(i, `key-${i}`), 0, 1);
    for (let i = 500; i < 600; i++) session(metrics, identity(i, `connection ${i}`), 0, 1);
    const samples = await read(metrics);
    const of = [...samples].filter(([name]) => name.startsWith("picospec_cloud_committed_tokens_total"));
    expect(of).toHaveLength(101);
    expect(of.map(([name]) => name).join()).not.toMatch(/connection/);
    expect(of.reduce((sum, [, count]) => sum + count, 0)).toBe(600);
  });

  it("are told by their keys' names, and anonymous without", async () => {
    const metrics = new CloudMetrics("1");
    session(metrics, identity(1, "team-a"), 0, 5);
    session(metrics, identity(2, "connection 2"), 0, 7);
    const samples = await read(metrics);
    expect(samples.get('picospec_cloud_committed_tokens_total{principal="team-a"}')).toBe(5);
    expect(samples.get('picospec_cloud_committed_tokens_total{principal="anonymous"}')).toBe(7);
  });

  it("are not charged twice for a session that was resumed here", async () => {
    const metrics = new CloudMetrics("1");
    session(metrics, identity(1, "team-a"), 0, 5);
    session(metrics, identity(2, "team-a", 1), 5, 12);
    const samples = await read(metrics);
    expect(samples.get('picospec_cloud_prompt_tokens_total{principal="team-a"}')).toBe(10);
    expect(samples.get('picospec_cloud_committed_tokens_total{principal="team-a"}')).toBe(12);
  });
});
