import { describe, expect, it } from "vitest";
import { scenarioNamed } from "../../lab/models/scenarios.ts";
import { simulate } from "../../lab/sim/simulate.ts";
import { parseSweep, simulateSweep } from "../../lab/sim/sweep.ts";
import { timeline } from "../../lab/sim/timeline.ts";
import { POLICIES } from "../decoding/policy.ts";
import { defaultPolicies } from "./simulate.ts";
import { policyChart, sweepChart } from "./simulate-charts.ts";
import { timelineText } from "./simulate-timeline.ts";
import { policyCsv, policyTable, type SimulatedRun, sweepCsv, sweepTable } from "./simulate-view.ts";
import { COLUMNS } from "./text.ts";

const scenario = { ...scenarioNamed("laptop-gpu"), answerTokens: 20 };
const policies = (["cloud", "vanilla"] as const).map((name) => ({ name, policy: POLICIES[name] }));
const options = { seed: 5, edges: 1, answers: 3 };
const run: SimulatedRun = { title: 'laptop, "new"', scenario, ...options, seed: "5" };
const results = simulate(scenario, policies, options);
const sweep = parseSweep("rtt=20:40:20");
const points = simulateSweep(scenario, sweep, policies, options);

it("runs every policy with a target by default, the cloud first, and no ablation", () => {
  const names = defaultPolicies().map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["cloud", "vanilla", "picospec"]));
  expect(names[0]).toBe("cloud");
  expect(names).not.toContain("edge");
  expect(names.filter((name) => name.includes("-no-"))).toEqual([]);
});

const flat = (text: string) => text.replaceAll(/\s+/g, " ");

describe("the tables", () => {
  it("have a line a policy, and say what they are of and that it is simulated", () => {
    const text = policyTable(run, results);
    const lines = text.split("\n");
    expect(lines[0]).toMatch(/^Simulated: laptop, "new"\. A laptop/);
    expect(flat(text)).toMatch(/ Round trip 40 ms, jitter up to 4 ms, a draft takes 6 ms, a pass 45 ms, /);
    const head = lines.findIndex((line) => line.startsWith("simulated "));
    expect(lines[head]).toMatch(/^simulated +speed-up +tokens\/s +accepted +passes\/token/);
    expect(lines[head + 1]).toMatch(/^cloud +1\.00x ±0\.00 +\d+\.\d ±\d\.\d +– +1\.00/);
    expect(lines[head + 2]).toMatch(/^vanilla +\d\.\d\dx ±\d\.\d\d /);
    expect(flat(text)).toMatch(
      / bytes.* up\/token .*Simulated, not measured: 1 edge with 3 answers of 20 tokens; seed 5\./,
    );
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(COLUMNS);
  });

  it("have the rate of all edges together where there are several", () => {
    expect(flat(policyTable(run, results))).not.toMatch(/of all/);
    expect(flat(policyTable({ ...run, edges: 4 }, results))).toMatch(/of all .*4 edges, each with 3 answers/);
  });

  it("say that the small model's text is another", () => {
    const alone = simulate(scenario, [...policies, { name: "edge", policy: POLICIES.edge }], options);
    expect(policyTable(run, alone)).toMatch(/The text of edge is the small model's own/);
    expect(policyTable(run, results)).not.toMatch(/small model's own/);
  });

  it("have a line a value of a sweep, whose own value in the scenario is not named", () => {
    const text = sweepTable(run, sweep, points);
    const lines = text.split("\n");
    expect(flat(text)).toMatch(/ Jitter up to 4 ms/);
    expect(flat(text)).not.toMatch(/Round trip/);
    const head = lines.findIndex((line) => /^rttMs +cloud, tokens\/s +vanilla, speed-up$/.test(line));
    expect(lines.slice(head + 1, head + 3).map((line) => line.split(" ")[0])).toEqual(["20", "40"]);
    expect(flat(text)).toMatch(/Simulated, not measured: .*at each rttMs/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(COLUMNS);
  });
});

describe("CSV", () => {
  it("has the names of JSON, quotes where they are needed, and nothing where a number does not apply", () => {
    const [names, cloud, vanilla] = policyCsv(run, results).split("\n");
    expect(names).toMatch(/^simulated,seed,edges,answers,policy,tokensPerSecond,speedup,acceptanceRate,/);
    expect(names!.split(",").slice(4)).toEqual(Object.keys(results[0]!));
    expect(cloud).toMatch(/^"laptop, ""new""",5,1,3,cloud,[\d.]+,1,,1,/);
    expect(vanilla).toContain(`,vanilla,${results[1]!.tokensPerSecond},${results[1]!.speedup},`);
  });

  it("has a column for the field that is swept", () => {
    const lines = sweepCsv(run, sweep, points).split("\n");
    expect(lines).toHaveLength(1 + 2 * 2);
    expect(lines[0]).toMatch(/,answers,rttMs,policy,/);
    expect(lines.slice(1).map((line) => line.split(",").slice(5, 7).join())).toEqual([
      "20,cloud",
      "20,vanilla",
      "40,cloud",
      "40,vanilla",
    ]);
  });
});

describe("charts say what they show, and that it is simulated", () => {
  it("over a field", async () => {
    const svg = await sweepChart(run, sweep, points);
    expect(svg).toMatch(/Simulated speed-up over rttMs: laptop, "new"/);
    expect(svg).toMatch(/rttMs: round trip, .* \(ms\)/);
    expect(svg).toMatch(/Simulated, not measured: 1 edge with 3 answers of 20 tokens; seed 5/);
    expect(svg).toContain("vanilla");
    const alone = points.map((point) => ({ ...point, results: point.results.slice(0, 1) }));
    expect(await sweepChart(run, sweep, alone)).toContain("cloud");
  });

  it("by policy", async () => {
    const svg = await policyChart(run, results);
    expect(svg).toMatch(/Simulated tokens\/s: laptop, "new"/);
    expect(svg).toMatch(/Simulated, not measured: /);
    expect(svg).toContain("vanilla");
  });
});

describe("a timeline as text", () => {
  const text = (seed: number) =>
    timelineText(
      { ...run, seed: String(seed) },
      policies.map((one) => timeline(scenario, one, seed)),
    );

  it("is the same for the same seed", () => {
    expect(text(1)).toBe(text(1));
    expect(text(2)).not.toBe(text(1));
  });

  it("has a line for each thing that happens", () => {
    const lines = text(1).split("\n");
    const has = (pattern: RegExp) =>
      expect(
        lines.filter((line) => pattern.test(line)),
        String(pattern),
      ).not.toEqual([]);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(COLUMNS);
    has(/^Simulated: laptop/);
    has(/^cloud \(simulated\)$/);
    has(/^ +0\.0 {2}→ cloud open +\[0, 128\) +\d+ B, at 2\d\.\d$/);
    has(/^ +[\d.]+ {2}cloud {3}pass 2 starts: 1 token, 1 row$/);
    has(/^ +[\d.]+ {2}cloud {3}pass 2 ends$/);
    has(/^ +[\d.]+ {2}edge +the target's own: \[128, 129\)$/);
    has(/^vanilla \(simulated\)$/);
    has(/^ +[\d.]+ {2}→ cloud draft +lineage 0 {2}\[128, 132\) +56 B, at [\d.]+$/);
    has(/^ +[\d.]+ {2}→ edge {2}verdict +lineage \d+ .*\b\d+ rejected +\d+ B, at [\d.]+$/);
    has(/^ +[\d.]+ {2}edge +rollback to (\d+): \[\1, \d+\) discarded \(\d\)$/);
    has(/^ +[\d.]+ {2}edge +correction, drawn here: \[\d+, \d+\)$/);
    has(/^ +[\d.]+ {2}edge +done: length$/);
    has(/^ +20 tokens in [\d.]+ ms: [\d.]+ tokens\/s, \d+ passes with rows, \d+ of/);
  });
});
