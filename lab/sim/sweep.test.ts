import { describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { SettingError } from "../../src/util/errors.ts";
import { scenarioFields } from "../models/scenario.ts";
import { SCENARIOS, scenarioNamed } from "../models/scenarios.ts";
import type { SimulatedPolicy } from "./simulate.ts";
import {
  fieldNamed,
  MOST_SWEEP_VALUES,
  parseSetting,
  parseSweep,
  simulateSweep,
  speedupError,
  unitOf,
  withSettings,
} from "./sweep.ts";

const scenario = scenarioNamed("laptop-gpu");

/** Each fails with a message of one line that matches. */
function expectRefused(parse: (text: string) => unknown, cases: Record<string, RegExp>): void {
  for (const [text, message] of Object.entries(cases)) {
    expect(() => parse(text), text).toThrow(SettingError);
    expect(() => parse(text), text).toThrow(message);
    expect(() => parse(text), text).not.toThrow(/\n/);
  }
}

describe("a field", () => {
  it.each([
    ["rtt", "rttMs"],
    ["rttMs", "rttMs"],
    ["draft", "draftMs"],
    ["draftPrefill", "draftPrefillTokensPerSecond"],
    ["pass", "passMs"],
    ["passMs", "passMs"],
    ["passFree", "passFreeRows"],
    ["up", "upMbps"],
    ["disconnects", "disconnectsPerHour"],
    ["answer", "answerTokens"],
    ["acceptance", "acceptance"],
  ])("%s is %s", (short, name) => {
    expect(fieldNamed(short).name).toBe(name);
  });

  it("always has a short name that is its own", () => {
    for (const { name } of scenarioFields()) {
      const short = name.replace(/(?:Ms|Mbps|TokensPerSecond|PerHour|Tokens|Rows)$/, "");
      expect(fieldNamed(short).name).toBe(name);
    }
  });

  it("has a meaning, and a unit unless it is a text", () => {
    for (const field of scenarioFields()) {
      expect(field.meaning, field.name).not.toBe("");
      if (typeof field.fallback !== "string") expect(unitOf(field), field.name).not.toBe("");
    }
    expect(unitOf(fieldNamed("jitterMs"))).toBe("ms");
    expect(unitOf(fieldNamed("name"))).toBe("");
  });
});

describe("a setting", () => {
  it.each([
    ["rtt=80", { field: "rttMs", value: 80 }],
    [" draftMs = 1e1 ", { field: "draftMs", value: 10 }],
    ["upMbps=null", { field: "upMbps", value: null }],
    ["acceptance=0", { field: "acceptance", value: 0 }],
    ["name=a = b", { field: "name", value: "a = b" }],
    ["description=", { field: "description", value: "" }],
  ])("%s", (text, setting) => {
    expect(parseSetting(text)).toEqual(setting);
  });

  it("that cannot be is refused in one line that says what can", () => {
    expectRefused(parseSetting, {
      rtt: /it is FIELD=VALUE, such as rttMs=80/,
      "=5": /it is FIELD=VALUE/,
      "rt=5": /unknown field "rt"; there are .*rttMs \(ms\).*upMbps \(Mbit\/s\).*sequences \(sessions\)/,
      "rtt=-1": /rttMs \(ms: round trip.*\) cannot be -1: .*>=0/,
      "rtt=null": /rttMs \(ms: .*cannot be null/,
      "rtt=": /rttMs \(ms: .*cannot be "": it is no number/,
      "rtt=10ms": /cannot be "10ms": it is no number/,
      "rtt=Infinity": /cannot be Infinity/,
      "acceptance=1.1": /acceptance \(0 to 1: .*cannot be 1\.1: .*<=1/,
      "servers=1.5": /servers \(servers: .*cannot be 1\.5: .*int/,
      "upMbps=0": /upMbps \(Mbit\/s: .*cannot be 0: .*>0/,
    });
  });

  it("changes its field alone, and the last one counts", () => {
    const changed = withSettings(scenario, [parseSetting("rtt=1"), parseSetting("rtt=2")]);
    expect(changed).toEqual({ ...scenario, rttMs: 2 });
  });

  it("that lets the link break before it is back is refused", () => {
    const settings = [parseSetting("disconnects=3600"), parseSetting("reconnect=1000")];
    expect(() => withSettings(scenario, settings)).toThrow(/link breaks again before it is back/);
    expect(withSettings(scenario, settings.slice(1)).reconnectMs).toBe(1000);
  });
});

describe("a sweep", () => {
  it("has both ends", () => {
    const { field, values } = parseSweep("rtt=10:300:10");
    expect([field, values.length, values[0], values.at(-1)]).toEqual(["rttMs", 30, 10, 300]);
    expect(parseSweep("answer=5:5:1").values).toEqual([5]);
  });

  it("has the values that a person would write down", () => {
    expect(parseSweep("acceptance=0:0.3:0.1").values).toEqual([0, 0.1, 0.2, 0.3]);
    expect(parseSweep("acceptance=0.1:0.95:0.2").values).toEqual([0.1, 0.3, 0.5, 0.7, 0.9]);
    expect(parseSweep("rtt=0.7:0.9:0.1").values).toEqual([0.7, 0.8, 0.9]);
  });

  it("that cannot be is refused in one line", () => {
    expectRefused(parseSweep, {
      "rtt=1:5": /it is FIELD=FROM:TO:STEP, such as rtt=10:300:10, not "rtt=1:5"/,
      rtt: /it is FIELD=FROM:TO:STEP/,
      "fast=1:5:1": /unknown field "fast"/,
      "name=1:5:1": /name is a text/,
      "rtt=1:x:1": /are numbers, not "x"/,
      "rtt=1:Infinity:1": /are numbers, not "Infinity"/,
      "rtt=1:5:0": /STEP of a sweep is above 0/,
      "rtt=5:1:1": /a sweep rises/,
      "loss=0:1:0.1": /loss .*cannot be 0\.6/,
      "servers=1:2:0.5": /servers .*cannot be 1\.5/,
      "rtt=0:1000:1": /at most 1000 values, not 1001/,
      "rtt=0:1e7:1e-300": /at most 1000 values/,
    });
    expect(parseSweep("rtt=1:1000:1").values).toHaveLength(MOST_SWEEP_VALUES);
  });

  it("runs every policy at every value, and gives the same again for the same seed", () => {
    const policies = (["cloud", "picospec"] as const).map((name) => ({ name, policy: POLICIES[name] }));
    const sweep = parseSweep("rtt=10:210:100");
    const progress: number[] = [];
    const run = (seed: number) =>
      simulateSweep(scenario, sweep, policies, { seed, edges: 1, answers: 3 }, (x) => progress.push(x));
    const points = run(1);
    expect(points.map(({ value }) => value)).toEqual([10, 110, 210]);
    expect(points.map(({ results }) => results.map(({ policy }) => policy))).toEqual(
      Array(3).fill(["cloud", "picospec"]),
    );
    const speedups = points.map(({ results }) => results[1]!.speedup);
    expect(speedups).toEqual([...speedups].sort((a, b) => b - a));
    expect(progress).toEqual([0, 1 / 3, 2 / 3]);
    expect(run(1)).toEqual(points);
    expect(run(2)).not.toEqual(points);
  });
});

it("segments that a policy cannot take are refused before anything runs", () => {
  const policies = (["cloud", "vanilla"] as const).map((name) => ({ name, policy: POLICIES[name] }));
  const sweep = parseSweep("segmentTokens=60:70:10");
  const options = { seed: 1, edges: 1, answers: 1 };
  const progress: number[] = [];
  const run = () => simulateSweep(scenario, sweep, policies, options, (x) => progress.push(x));
  expect(run).toThrow(/segmentTokens must be .* 64, not 70/);
  expect(progress).toEqual([]);
});

it("every scenario with a name has a link that comes back in time", () => {
  for (const one of Object.values(SCENARIOS)) expect(withSettings(one, [])).toEqual(one);
});

it("the interval of a speed-up holds those of both rates; the cloud's own is none", () => {
  const rate = (policy: string, tokensPerSecond: number, tokensPerSecondError: number) =>
    ({ policy, tokensPerSecond, tokensPerSecondError, speedup: tokensPerSecond / 10 }) as SimulatedPolicy;
  const cloud = rate("cloud", 10, 0.4);
  expect(speedupError(cloud, cloud)).toBe(0);
  expect(speedupError(rate("x", 20, 0.6), cloud)).toBeCloseTo(Math.hypot(0.06, 0.08), 12);
  expect(speedupError(rate("x", 20, 0.6), rate("cloud", 10, 0))).toBeCloseTo(0.06, 12);
});
