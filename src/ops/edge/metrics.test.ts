import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readExposition } from "../../../test/support/exposition.ts";
import { steadySchedule, World } from "../../../test/support/world.ts";
import { POLICIES } from "../../decoding/policy.ts";
import { toSeed } from "../../sampling/random.ts";
import { CloudTrace } from "../cloud/trace.ts";
import { TraceFile } from "../trace-file.ts";
import { EdgeMetrics } from "./metrics.ts";
import { answerObservedByAll } from "./together.ts";
import { EdgeTrace } from "./trace.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-edge-trace-"));
afterAll(() => rmSync(folder, { recursive: true }));

const language = {
  seed: toSeed(1),
  vocabularySize: 24,
  order: 2,
  spread: 5,
  divergence: 1,
  contextTokens: 300,
};
const PROMPT = [1, 2, 3, 4, 5, 6, 7];
const DRAFT_MS = 2;
const endpoint = { load: { active: 2, waiting: 1 }, link: { isUp: true, rttMs: 20, reconnects: 3 } };

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur: number;
  readonly pid: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, number | string>>;
}

/** Four answers at a time over one cloud, observed on both sides. */
async function observed(name: string) {
  const [edgePath, cloudPath] = [join(folder, `${name}-edge.json`), join(folder, `${name}-cloud.json`)];
  const [edgeFile, cloudFile] = [edgePath, cloudPath].map((path) => new TraceFile(path, { originMs: 0 }));
  const schedule = { ...steadySchedule(20, 10, DRAFT_MS), sequences: 2 };
  const world = new World({
    ...{ language, schedule, random: () => 0.5 },
    observer: (clock) => new CloudTrace(cloudFile!, clock),
  });
  const metrics = new EdgeMetrics("1", endpoint, world.clock);
  const trace = new EdgeTrace(edgeFile!, world.clock);
  const runs = (["cloud", "vanilla", "picospec", "race"] as const).map((policy, seed) =>
    world.generate(POLICIES[policy], PROMPT, toSeed(seed), 40, {
      listener: { observer: answerObservedByAll([metrics.observer(), trace.observer("r-1")]) },
    }),
  );
  world.clock.run();
  for (const file of [edgeFile!, cloudFile!]) file.close();
  const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Event[];
  const { samples } = readExposition(await metrics.text());
  return { runs, samples, edge: read(edgePath), cloud: read(cloudPath) };
}

describe("an endpoint's metrics", () => {
  it("are its answers' own statistics, by source, policy and reason", async () => {
    const { runs, samples } = await observed("metrics");
    const statistics = runs.map((run) => run.statistics!);
    const sum = (of: (one: (typeof statistics)[number]) => number) =>
      statistics.reduce((total, one) => total + of(one), 0);
    const is = (name: string, value: number) =>
      expect([name, samples.get(`picospec_${name}`)]).toEqual([name, value]);
    is(
      "completion_tokens_total",
      sum((one) => one.tokens),
    );
    is("prompt_tokens_total", 4 * PROMPT.length);
    is(
      'drafts_total{source="model"}',
      sum((one) => one.drafted),
    );
    is(
      'drafts_accepted_total{source="model"}',
      sum((one) => one.accepted),
    );
    is(
      "drafts_rejected_total",
      sum((one) => one.rejected),
    );
    is(
      "drafts_discarded_total",
      sum((one) => one.discarded),
    );
    is(
      "rollbacks_total",
      sum((one) => one.rollbacks),
    );
    is(
      "rounds_total",
      sum((one) => one.rounds),
    );
    is(
      "uplink_bytes_total",
      sum((one) => one.uplinkBytes),
    );
    is(
      "downlink_bytes_total",
      sum((one) => one.downlinkBytes),
    );
    is("time_to_first_token_seconds_count", 4);
    is("tokens_per_second_count", 4);
    is("answers_active", 2);
    is("requests_waiting", 1);
    is("cloud_link_up", 1);
    is("round_trip_seconds", 0.02);
    is("reconnects_total", 3);
    expect([...samples.keys()].filter((name) => name.startsWith("picospec_answers_total"))).toHaveLength(4);
    expect(sum((one) => one.rejected)).toBeGreaterThan(0);
  });

  it("have the time of a draft step, without those that were interrupted", async () => {
    const { runs, samples } = await observed("steps");
    const steps = samples.get("picospec_draft_step_seconds_count")!;
    const drafted = runs.reduce((sum, run) => sum + run.statistics!.drafted, 0);
    // A step that was over as its session ended is no draft any more.
    expect(steps).toBeGreaterThanOrEqual(drafted);
    expect(steps).toBeLessThanOrEqual(drafted + runs.length);
    const meanSeconds = samples.get("picospec_draft_step_seconds_sum")! / steps;
    expect(meanSeconds).toBeGreaterThanOrEqual(DRAFT_MS / 1000 - 1e-9);
    expect(meanSeconds).toBeLessThan((2 * DRAFT_MS) / 1000);
  });

  it("count what failed by a bounded set of codes: a cloud may say any", async () => {
    const metrics = new EdgeMetrics("1", endpoint, { nowMs: () => 0, schedule: () => () => {} });
    for (let i = 0; i < 300; i++) metrics.failed(`code-${i}`);
    metrics.failed('x"} 1\nforged_total 7');
    const { samples } = readExposition(await metrics.text());
    const errors = [...samples.keys()].filter((name) => name.startsWith("picospec_errors_total"));
    expect(errors).toHaveLength(65);
    expect(samples.has("forged_total")).toBe(false);
  });
});

describe("a trace of answers", () => {
  it("has all of an answer inside of it, step after step, on a line of its own", async () => {
    const { runs, edge } = await observed("nested");
    for (let tid = 1; tid <= runs.length; tid++) {
      const own = edge.filter((event) => event.tid === tid && event.ph !== "M");
      const whole = own.filter(({ ph, args }) => ph === "X" && "promptTokens" in args);
      expect(whole).toHaveLength(1);
      const [answer] = whole;
      const end = answer!.ts + answer!.dur;
      for (const { ts, dur = 0 } of own) expect([ts >= answer!.ts, ts + dur <= end]).toEqual([true, true]);
      const steps = own
        .filter(({ name }) => name === "draft" || name === "no draft")
        .sort((a, b) => a.ts - b.ts);
      for (const [i, step] of steps.entries()) {
        const before = steps[i - 1];
        if (before) expect(step.ts).toBeGreaterThanOrEqual(before.ts + before.dur);
      }
      const { statistics } = runs[tid - 1]!;
      const named = (name: string) => own.filter((event) => event.name === name);
      expect(named("rollback").length).toBeGreaterThanOrEqual(statistics!.rollbacks);
      expect(answer!.args).toMatchObject({ tokens: statistics!.tokens, request: "r-1" });
      const bytes = (name: string) => named(name).reduce((sum, { args }) => sum + Number(args.bytes), 0);
      expect(bytes("sent draft") + bytes("sent witnessRequest")).toBe(statistics!.uplinkBytes);
      expect(bytes("received verdict") + bytes("received witnesses")).toBe(statistics!.downlinkBytes);
    }
  });

  it("of the cloud has passes one after another, and each session's within the session", async () => {
    const { runs, cloud } = await observed("passes");
    const passes = cloud.filter(({ name }) => name === "pass").sort((a, b) => a.ts - b.ts);
    const targetPasses = runs.reduce((sum, run) => sum + run.statistics!.usage!.targetPasses, 0);
    expect(passes.length).toBeGreaterThan(targetPasses / runs.length);
    for (const [i, pass] of passes.entries()) {
      const before = passes[i - 1];
      if (before) expect(pass.ts).toBeGreaterThanOrEqual(before.ts + before.dur);
    }
    const starts = new Set(passes.map(({ ts, dur }) => `${ts} ${dur}`));
    const sessions = cloud.filter(({ ph, args }) => ph === "X" && "promptTokens" in args);
    expect(sessions).toHaveLength(runs.length);
    for (const session of sessions) {
      const within = cloud.filter(({ name, tid }) => name === "in pass" && tid === session.tid);
      expect(within.length).toBeGreaterThanOrEqual(Number(session.args.passes));
      for (const { ts, dur } of within) {
        expect(starts.has(`${ts} ${dur}`)).toBe(true);
        expect([ts >= session.ts, ts + dur <= session.ts + session.dur]).toEqual([true, true]);
      }
    }
  });
});
