import { SettingError } from "../../src/util/errors.ts";
import { parseScenario, type Scenario } from "./scenario.ts";

/** Scenarios by name. Where numbers are ours and not published or measured, the description says so. */

type Given = Omit<Parameters<typeof parseScenario>[0] & Partial<Scenario>, "name">;

const paper =
  "Draft token and pass times from arXiv 2603.19133; RTT and acceptance chosen to fit its speed-up.";

/** Acceptance at temperature 0 is one number for both couplings. */
const greedy = (acceptance: number) => ({ acceptance, acceptanceCoupled: acceptance });

const given: Record<string, Given> = {
  "paper-qwen-gsm8k": {
    description: `Qwen3 0.6B on a Jetson AGX, 32B on an A100, GSM8K. ${paper}`,
    rttMs: 15,
    draftMs: 24.4,
    passMs: 72,
    segmentTokens: 4,
    ...greedy(0.8),
  },
  "paper-qwen-humaneval": {
    description: `Qwen3 0.6B on a Jetson AGX, 32B on an A100, HumanEval. ${paper}`,
    rttMs: 10,
    draftMs: 24.4,
    passMs: 70.5,
    segmentTokens: 4,
    ...greedy(0.72),
  },
  "paper-llama-gsm8k": {
    description: `Llama 3 1B on a Jetson AGX, 70B on an A100, GSM8K. ${paper} Only segments of 7 fit its times.`,
    rttMs: 20,
    draftMs: 24.4,
    passMs: 146,
    segmentTokens: 7,
    ...greedy(0.87),
  },
  "paper-llama-humaneval": {
    description: `Llama 3 1B on a Jetson AGX, 70B on an A100, HumanEval. ${paper} Only segments of 7 fit its times.`,
    rttMs: 36,
    draftMs: 24.4,
    passMs: 146,
    segmentTokens: 7,
    ...greedy(0.9),
  },
  acespec: {
    description:
      "AceSpec (arXiv 2609.02514) reports 1.75 times the cloud alone on the pair and task of paper-qwen-gsm8k. Its RTT and acceptance are not known to us: these are that scenario's.",
    rttMs: 15,
    draftMs: 24.4,
    passMs: 72,
    segmentTokens: 4,
    ...greedy(0.8),
  },
  bundled: {
    description:
      "The bundled pair as it is, one thread each of a shared x64 machine, over loopback: measured with picospec bench engine and passes of 1 to 16 rows; acceptance on a story at temperature 0.",
    rttMs: 0.4,
    draftMs: 0.2,
    draftPrefillTokensPerSecond: 40_000,
    passMs: 0.8,
    passMsPerToken: 0.7,
    prefillTokensPerSecond: 1500,
    sequences: 8,
    promptTokens: 20,
    answerTokens: 115,
    vocabularySize: 2048,
    ...greedy(0.67),
  },
  demo: {
    description: "The default of picospec demo: paced engines, the bundled pair on a story, temperature 0.",
    rttMs: 60,
    draftMs: 10,
    passMs: 100,
    prefillTokensPerSecond: 2000,
    draftPrefillTokensPerSecond: 1000,
    promptTokens: 20,
    answerTokens: 160,
    ...greedy(0.67),
  },
  "laptop-gpu": {
    description:
      "A laptop with a consumer GPU and a 70B target on a rented card in the same region. Our estimate.",
    rttMs: 40,
    jitterMs: 4,
    upMbps: 20,
    downMbps: 100,
    draftMs: 6,
    passMs: 45,
    passMsPerToken: 0.2,
    passFreeRows: 16,
    acceptance: 0.8,
    acceptanceCoupled: 0.75,
    acceptanceMemory: 0.3,
  },
  "phone-4g": {
    description: "A phone on 4G: a slow drafter, jitter and losses. Our estimate.",
    rttMs: 70,
    jitterMs: 30,
    upMbps: 8,
    downMbps: 30,
    loss: 0.005,
    lossDelayMs: 220,
    draftMs: 25,
    passMs: 45,
    passMsPerToken: 0.2,
    passFreeRows: 16,
    acceptance: 0.72,
    acceptanceCoupled: 0.67,
    acceptanceMemory: 0.3,
  },
  transatlantic: {
    description: "A workstation in Europe and a large target in North America. Our estimate.",
    rttMs: 95,
    jitterMs: 3,
    draftMs: 5,
    passMs: 40,
    passMsPerToken: 0.2,
    passFreeRows: 16,
    acceptance: 0.8,
    acceptanceCoupled: 0.75,
    acceptanceMemory: 0.3,
  },
  satellite: {
    description: "A geostationary link: nothing but patience helps. Our estimate.",
    rttMs: 600,
    jitterMs: 30,
    upMbps: 3,
    downMbps: 50,
    loss: 0.01,
    lossDelayMs: 800,
    draftMs: 8,
    passMs: 45,
    passMsPerToken: 0.2,
    passFreeRows: 16,
    acceptance: 0.8,
    acceptanceCoupled: 0.75,
    acceptanceMemory: 0.3,
  },
};

export const SCENARIOS: Readonly<Record<string, Scenario>> = Object.fromEntries(
  Object.entries(given).map(([name, fields]) => [name, parseScenario({ name, ...fields })]),
);

/**
 * @throws SettingError that lists the names there are
 * @example
 * import { scenarioNamed } from "picospec/lab";
 *
 * console.log(scenarioNamed("laptop-gpu").rttMs);
 */
export function scenarioNamed(name: string): Scenario {
  const found = Object.hasOwn(SCENARIOS, name) ? SCENARIOS[name] : undefined;
  if (found) return found;
  const names = Object.keys(SCENARIOS).join(", ");
  throw new SettingError("scenario", `unknown scenario "${name}"; there are ${names}, or give a JSON file`);
}
