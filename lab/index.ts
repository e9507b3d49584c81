/**
 * PicoSpec's laboratory: what predicts and measures the runtime, and is never loaded by it. The simulator runs the
 * shipped state machines under virtual time, over a modelled network and modelled engines.
 */
export { type Adapter, ConformanceError, type Engine } from "./conformance/adapter.ts";
export { type Check, CONFORMANCE } from "./conformance/checks.ts";
export type { Estimate, FittedScenario } from "./models/fit.ts";
export { parseScenario, type Scenario } from "./models/scenario.ts";
export { SCENARIOS, scenarioNamed } from "./models/scenarios.ts";
export { type PayoffOfPolicy, type PayoffOptions, type PayoffReport, payoffReport } from "./sim/payoff.ts";
export { type NamedPolicy, type SimulatedPolicy, type SimulateOptions, simulate } from "./sim/simulate.ts";
