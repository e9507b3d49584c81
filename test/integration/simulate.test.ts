import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { scenarioNamed } from "../../lab/models/scenarios.ts";
import { picospec } from "../support/processes.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
const file = (name: string) => join(folder, name);
const mine = { rttMs: 50, draftMs: 5, passMs: 40, acceptance: 0.8, acceptanceCoupled: 0.8 };

beforeAll(() => {
  writeFileSync(file("mine.json"), JSON.stringify(mine));
  writeFileSync(file("text.json"), '{ "rttMs": 5,\n "draftMs": x }');
  writeFileSync(file("short.json"), JSON.stringify({ ...mine, rtt: 3 }));
  writeFileSync(file("half.json"), JSON.stringify({ rttMs: 5 }));
});
afterAll(() => rmSync(folder, { recursive: true }));

const simulate = (...args: string[]) => picospec(["simulate", ...args]);

describe("simulate", () => {
  it("--json prints one object in the documented shape, the same for the same seed", async () => {
    const args = [
      "--scenario",
      "transatlantic",
      "--set",
      "rtt=70",
      "--answers",
      "5",
      "--seed",
      "9",
      "--json",
    ];
    const { status, stdout } = await simulate(...args);
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(["scenario", "seed", "results"]);
    expect(report.scenario).toEqual({ ...scenarioNamed("transatlantic"), rttMs: 70 });
    expect(report.seed).toBe("9");
    const names = report.results.map((result: { policy: string }) => result.policy);
    expect(names[0]).toBe("cloud");
    expect(names).toEqual(expect.arrayContaining(["vanilla", "picospec"]));
    for (const result of report.results) {
      for (const field of ["tokensPerSecond", "speedup", "uplinkBytesPerToken", "downlinkBytesPerToken"]) {
        expect(result[field], field).toBeGreaterThan(0);
      }
      expect(result).toHaveProperty("acceptanceRate");
      expect(result.targetPassesPerToken).toBeGreaterThan(0);
      expect(result.wastedDraftsPerToken).toBeGreaterThanOrEqual(0);
    }
    expect((await simulate(...args)).stdout).toBe(stdout);
  });

  it("runs the cloud first and once, whatever was asked for, and several edges", async () => {
    const args = ["--policy", "picospec,cloud,picospec", "--edges", "4", "--answers", "2"];
    const { status, stdout } = await simulate("--scenario", file("mine.json"), ...args);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Simulated: mine\n/);
    // The table has two halves on 80 columns.
    expect(stdout.match(/^(cloud|picospec) /gm)).toEqual(["cloud ", "picospec ", "cloud ", "picospec "]);
    expect(stdout).toMatch(/Simulated, not measured: 4 edges, each with 2 answers of 300 tokens; seed 1\./);
  });

  it("--sweep --json has the results at each value", async () => {
    const args = ["--sweep", "rtt=20:100:40", "--policy", "picospec", "--answers", "4", "--json"];
    const { status, stdout } = await simulate(...args);
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(["scenario", "seed", "sweep", "points"]);
    expect(report.sweep).toEqual({ field: "rttMs", values: [20, 60, 100] });
    expect(report.points.map((point: { value: number }) => point.value)).toEqual([20, 60, 100]);
    for (const { results } of report.points) {
      expect(results.map((result: { policy: string }) => result.policy)).toEqual(["cloud", "picospec"]);
    }
  });

  it("--csv prints a line a policy, and --svg writes a chart beside it", async () => {
    const svg = file("chart.svg");
    const { status, stdout, stderr } = await simulate("--answers", "4", "--csv", "--svg", svg);
    expect([status, stderr]).toEqual([0, `chart: ${svg}\n`]);
    expect(stdout).toMatch(/^simulated,seed,.*\nlaptop-gpu,1,1,4,cloud,/);
    expect(readFileSync(svg, "utf8")).toMatch(/^<svg .*Simulated tokens\/s: laptop-gpu/s);
  });

  it("--timeline prints the same for the same seed", async () => {
    const args = ["--timeline", "--policy", "picospec", "--set", "answerTokens=12"];
    const [one, two] = [await simulate(...args), await simulate(...args)];
    expect(one.status).toBe(0);
    expect(one.stdout).toBe(two.stdout);
    expect(one.stdout).toMatch(/^picospec \(simulated\)$/m);
    expect(one.stdout).toMatch(/^ +12 tokens in /m);
  });

  it("--scenarios lists scenarios, and fields with their units", async () => {
    const { status, stdout } = await simulate("--scenarios");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}laptop-gpu +A laptop/m);
    expect(stdout).toMatch(/^ {2}rttMs +ms +required +round trip/m);
    expect(stdout).toMatch(/^ {2}jitterMs +ms +0 /m);
  });
});

describe("bad input to simulate ends in one clear line and a non-zero exit", () => {
  const cases: [string, readonly string[], RegExp][] = [
    ["a missing file", ["--scenario", file("none.json")], /there is no scenario file at .*none\.json/],
    ["a file that is no JSON", ["--scenario", file("text.json")], /text\.json is no JSON: /],
    ["a file without a field", ["--scenario", file("half.json")], /draftMs/],
    ["a file with a short name", ["--scenario", file("short.json")], /write the field "rtt" as rttMs/],
    ["a folder", ["--scenario", folder], /cannot read .*EISDIR/],
    ["an unknown scenario", ["--scenario", "moon"], /unknown scenario "moon"; there are .*laptop-gpu/],
    ["an unknown policy", ["--policy", "best"], /unknown policy "best"; there are cloud/],
    ["an unknown field", ["--set", "speed=1"], /unknown field "speed"; there are .*rttMs \(ms\)/],
    ["a value that cannot be", ["--set", "rtt=-1"], /rttMs \(ms: .*cannot be -1/],
    ["a sweep that is none", ["--sweep", "rtt=10"], /FIELD=FROM:TO:STEP/],
    ["no answers", ["--answers", "0"], /whole number from 1/],
    ["too many answers", ["--edges", "10000", "--answers", "10000"], /1000000 answers at most/],
    ["segments that no policy takes", ["--set", "segmentTokens=100"], /segmentTokens must be .*64/],
    ["a timeline of a sweep", ["--timeline", "--sweep", "rtt=1:2:1"], /cannot be used with/],
    [
      "a chart that cannot be written",
      ["--answers", "1", "--svg", folder],
      /cannot write the chart to .*EISDIR/,
    ],
  ];

  it.each(cases)("%s", async (_, args, message) => {
    const { status, stdout, stderr } = await simulate(...args);
    expect(status).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    const lines = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("(add --help"));
    expect(lines, stderr).toHaveLength(1);
  });
});
