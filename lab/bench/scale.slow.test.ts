import { expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { plainTokensPerSecond, serverTimes } from "../models/colocated.ts";
import { SCALE_SCENARIO, simulateLoad } from "./scale.ts";

it("a load on one server of 200 edges without drafts is as fast as the closed form says", () => {
  const options = { seed: 1, warmMs: 1000, countedMs: 2000 };
  const load = simulateLoad(SCALE_SCENARIO, POLICIES.cloud, 200, options);
  const closed = plainTokensPerSecond(serverTimes(SCALE_SCENARIO), 200);
  expect(Math.abs(load.tokensPerSecond / closed - 1)).toBeLessThan(0.03);
  expect(load.rowsPerPass).toBeCloseTo(200, 0);
});
