import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { parseScenario, type Scenario } from "../models/scenario.ts";
import { ChanceAcceptance, TracedAcceptance } from "../sim/acceptance.ts";
import { runAnswers, secondsOf, simulate } from "../sim/simulate.ts";
import { type RealAnswer, RealWorld, type Setting } from "./real-world.ts";

/** The simulator against the real thing: real models, sockets and time; the network and the hardware are emulated. */

export interface Prediction {
  readonly setting: Setting;
  readonly policy: string;
  readonly tokens: number;
  readonly acceptanceRate: number | null;
  /** as it was measured while it ran */
  readonly measured: { readonly rttMs: number; readonly passMs: number; readonly draftMs: number };
  readonly tokensPerSecond: number;
  /** by the simulator, fed with the run's own acceptance place by place and its measured times */
  readonly fromTrace: number;
  /** fromTrace / tokensPerSecond - 1 */
  readonly traceError: number;
  /** by the simulator from the acceptance rate alone, and half of its 95% interval for as many tokens */
  readonly fromRate: number;
  readonly fromRateError: number;
}

export interface PredictOptions {
  readonly settings: readonly Setting[];
  readonly policies: readonly { readonly name: string; readonly policy: DecodingPolicy }[];
  readonly prompts: readonly string[];
  /** least tokens of each policy in each setting */
  readonly tokens: number;
  readonly temperature: number;
  readonly targetFile: string;
  readonly drafterFile: string;
  readonly progress: (prediction: Prediction) => void;
}

export async function predict(options: PredictOptions): Promise<Prediction[]> {
  const predictions: Prediction[] = [];
  for (const setting of options.settings) {
    const world = await RealWorld.open(setting, options.targetFile, options.drafterFile);
    try {
      for (const { name, policy } of options.policies) {
        const prediction = await compare(world, setting, name, policy, options);
        predictions.push(prediction);
        options.progress(prediction);
      }
    } finally {
      await world.close();
    }
  }
  return predictions;
}

async function compare(
  world: RealWorld,
  setting: Setting,
  name: string,
  policy: DecodingPolicy,
  { prompts, tokens: least, temperature }: PredictOptions,
): Promise<Prediction> {
  world.forgetTimes();
  const answers: RealAnswer[] = [];
  let tokens = 0;
  for (let i = 0; tokens < least; i++) {
    const answer = await world.answer(policy, prompts[i % prompts.length]!, i, temperature);
    answers.push(answer);
    tokens += answer.statistics.tokens;
  }
  const times = world.times();
  const sum = (value: (statistics: PipelineStatistics) => number) =>
    answers.reduce((total, { statistics }) => total + value(statistics), 0);
  const accepted = sum((statistics) => statistics.accepted);
  const judged = accepted + sum((statistics) => statistics.rejected);
  const acceptance = judged > 0 ? accepted / judged : 0;
  const scenario = parseScenario({ ...times, acceptance, acceptanceCoupled: acceptance });
  const tokensPerSecond = tokens / sum(secondsOf);
  const fromTrace = tokens / answers.reduce((total, answer) => total + replay(scenario, policy, answer), 0);
  const mean = (value: (answer: RealAnswer) => number) =>
    Math.max(1, Math.round(answers.reduce((total, answer) => total + value(answer), 0) / answers.length));
  const typical: Scenario = {
    ...scenario,
    promptTokens: mean((answer) => answer.promptTokens),
    answerTokens: mean((answer) => answer.statistics.tokens),
  };
  const many = simulate(typical, [{ name, policy }], { seed: 1, edges: 1, answers: 200 })[0]!;
  return {
    setting,
    policy: name,
    tokens,
    acceptanceRate: judged > 0 ? acceptance : null,
    measured: { rttMs: times.rttMs, passMs: times.passMs, draftMs: times.draftMs },
    tokensPerSecond,
    fromTrace,
    traceError: fromTrace / tokensPerSecond - 1,
    fromRate: many.tokensPerSecond,
    // An interval for as many answers as really ran, not for the 200.
    fromRateError: many.tokensPerSecondError * Math.sqrt(200 / answers.length),
  };
}

/** Seconds that the simulator gives the answer. */
function replay(
  scenario: Scenario,
  policy: DecodingPolicy,
  { promptTokens, statistics, trace }: RealAnswer,
): number {
  const own = { ...scenario, promptTokens, answerTokens: statistics.tokens };
  const [simulated] = runAnswers(own, policy, {
    seed: 1,
    edges: 1,
    answers: 1,
    acceptance: (_, coupled) => {
      const rate = coupled ? scenario.acceptanceCoupled : scenario.acceptance;
      return new TracedAcceptance(trace, new ChanceAcceptance({ low: 1, high: 1 }, rate, 0));
    },
  });
  return secondsOf(simulated!);
}
