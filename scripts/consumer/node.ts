/** A user's program, for the tests of the package: each entry point, with its types. */
import { type CreateEdgeOptions, createEdge, type Edge, policyNamed, SettingError } from "picospec";
import { type Scenario, scenarioNamed, simulate } from "picospec/lab";
import { createEdge as createEdgeOfNode, serveEndpoint } from "picospec/node";

const options: CreateEdgeOptions = { policy: "race" };
const scenario: Scenario = scenarioNamed("laptop-gpu");

/** What the entry points are used for. */
export async function answer(): Promise<string> {
  const edge: Promise<Edge> = createEdge(options);
  const refused = await edge.then(
    () => "nothing",
    (error: unknown) => (error instanceof SettingError ? error.setting : "another error"),
  );
  const same = createEdgeOfNode === createEdge && typeof serveEndpoint === "function";
  const policies = [{ name: "cloud", policy: policyNamed("cloud") }];
  const [cloud] = simulate(scenario, policies, { seed: 1, edges: 1, answers: 4 });
  return `refused ${refused}; ${same ? "one createEdge" : "two of them"}; ${cloud?.policy ?? "no policy"}`;
}
