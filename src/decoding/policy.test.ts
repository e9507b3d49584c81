import { describe, expect, it } from "vitest";
import { checkPolicy, type DecodingPolicy, POLICIES, policyNamed } from "./policy.ts";

describe("policies", () => {
  it.each(Object.entries(POLICIES))("%s keeps the preconditions", (_, policy) => {
    expect(() => checkPolicy(policy)).not.toThrow();
  });

  it("names what there is when a name is unknown", () => {
    expect(() => policyNamed("toString")).toThrow(
      /unknown policy "toString"; there are cloud, race, edge, vanilla/,
    );
  });

  const rejection = POLICIES.picospec;
  const bad: [string, DecodingPolicy, string][] = [
    [
      "a cloud that goes on by itself past drafts in flight",
      { ...rejection, patienceMs: 5 },
      "patienceMs must be Infinity",
    ],
    [
      "a bonus token with drafts in flight",
      { ...rejection, bonusToken: true },
      "bonusToken needs windowTokens",
    ],
    ["no side to go on", { ...rejection, segmentTokens: 0 }, "patienceMs must be finite"],
    [
      "a window below a segment",
      { ...rejection, windowTokens: 3 },
      "windowTokens must be a whole number from 4",
    ],
    [
      "a dense exchange under Gumbel",
      { ...POLICIES.cloud, exchange: "denseUp" },
      "exchange is for rejection",
    ],
    ["a bonus under Gumbel", { ...POLICIES.cloud, bonusToken: true }, "bonusToken is for rejection"],
    [
      "rejection without drafts",
      { ...POLICIES.cloud, coupling: "rejection" },
      "coupling must be gumbel when nothing is drafted",
    ],
    [
      "a misspelt field",
      { ...rejection, ...{ windowToken: 9 } },
      'unknown policy field "windowToken"; did you mean windowTokens?',
    ],
    ["no number", { ...rejection, truncateAfterMs: Number.NaN }, "truncateAfterMs must be above 0, not NaN"],
    [
      "a coupling that there is not",
      { ...rejection, coupling: "Gumbel" as "gumbel" },
      'coupling must be "rejection" or "gumbel", not "Gumbel"',
    ],
    ["half a token", { ...rejection, segmentTokens: 0.5 }, "segmentTokens must be a whole number"],
  ];
  it.each(bad)("refuses %s", (_, policy, message) => {
    expect(() => checkPolicy(policy)).toThrow(message);
  });
});
