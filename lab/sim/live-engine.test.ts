import { describe, expect, it } from "vitest";
import { POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import { scenarioNamed } from "../models/scenarios.ts";
import { type SimulateOptions, simulate } from "./simulate.ts";

const options: SimulateOptions = { seed: 3, edges: 1, answers: 6 };
const run = (names: readonly PolicyName[], given: Partial<SimulateOptions>) =>
  simulate(
    scenarioNamed("laptop-gpu"),
    names.map((name) => ({ name, policy: POLICIES[name] })),
    { ...options, ...given },
  );

describe("the simulator over an engine that decodes by itself", () => {
  it("streams the cloud alone as fast as over passes", () => {
    const [live] = run(["cloud"], { live: true });
    const [passes] = run(["cloud"], {});
    expect(live!.tokensPerSecond / passes!.tokensPerSecond).toBeGreaterThan(0.97);
    expect(live!.tokensPerSecond / passes!.tokensPerSecond).toBeLessThan(1.03);
  });

  it("is faster with the edge's drafts, though it waits for none", () => {
    const [, race] = run(["cloud", "race"], { live: true });
    expect(race!.speedup).toBeGreaterThan(1.3);
    expect(race!.targetPassesPerToken).toBeLessThan(0.8);
  });

  it("carries several edges, each with all of its tokens", () => {
    const [cloud, race] = run(["cloud", "race"], { live: true, edges: 4, answers: 3 });
    expect(race!.tokensPerSecond).toBeGreaterThan(cloud!.tokensPerSecond);
  });

  it("refuses a policy that resamples, and says what is lacking", () => {
    expect(() => run(["picospec"], { live: true })).toThrow("has no rejection coupling");
  });
});
