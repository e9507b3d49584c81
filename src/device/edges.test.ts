import { describe, expect, it } from "vitest";
import { TARGET } from "../../test/support/target.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { createEdges, plansOf } from "./edges.ts";

const identity = {
  ...{ weights: "w", quantisation: "Q8_0", library: "llama.cpp 1", backend: "cpu", cpuBuild: "haswell" },
};
const other = { ...TARGET, identity: { ...identity, quantisation: "Q4_0" } };
const probed = (...targets: readonly (TargetInfo | null)[]) =>
  targets.map((target, i) => ({ url: `ws://10.0.0.${i}:4747`, target }));
const plans = (...targets: readonly (TargetInfo | null)[]) =>
  plansOf(probed(...targets)).map(({ name, clouds }) => [name, ...clouds.map((url) => Number(url[12]))]);

describe("clouds by what they serve", () => {
  const one = { ...TARGET, identity };
  const large = { ...TARGET, name: "large", contextTokens: 9 };

  it.each([
    ["one target: replicas", [one, one], [[null, 0, 1]]],
    [
      "two targets: two models",
      [one, large, one],
      [
        ["m", 0, 2],
        ["large", 1],
      ],
    ],
    [
      "one name, two identities: two models with names of their own",
      [one, other],
      [
        ["m", 0],
        ["m@10.0.0.1:4747", 1],
      ],
    ],
    ["none is there: taken for replicas", [null, null], [[null, 0, 1]]],
    [
      "what is not there is taken for a replica of the first",
      [large, null, one],
      [
        ["large", 0, 1],
        ["m", 2],
      ],
    ],
    ["no identity is told: compared by the rest", [TARGET, one], [[null, 0, 1]]],
  ] as const)("%s", (_, targets, expected) => {
    expect(plans(...targets)).toEqual(expected);
  });

  it("an address that is none ends it, and so do options that do not go together", async () => {
    const clouds = ["ws://127.0.0.1:1", "localhost"];
    await expect(createEdges({ clouds, drafter: "lookup" })).rejects.toMatchObject({ code: "bad_url" });
    await expect(createEdges({ clouds, drafter: "lookup", offline: "edge" })).rejects.toThrow(/give a model/);
    await expect(createEdges({ clouds: [] })).rejects.toThrow(/give a model/);
  });
});
