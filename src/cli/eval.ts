import { Command, Option } from "commander";
import { agreement } from "../../lab/bench/agreement.ts";
import {
  type Accuracy,
  type Answered,
  type EvalResult,
  evaluate,
  type PolicyResult,
} from "../../lab/bench/eval.ts";
import { TASK_FAMILIES } from "../../lab/tasks/draw.ts";
import type { Task, TaskFamily } from "../../lab/tasks/task.ts";
import type { Edge } from "../edge/edge.ts";
import type { DraftModel } from "../engine/engine.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaDraftModel } from "../engine/llama/models.ts";
import { toSeed } from "../sampling/random.ts";
import type { ChatMessage, ChatTool } from "../text/chat-template.ts";
import { withLocalPair } from "./local-pair.ts";
import { checkedModelPath, MODEL, modelPath } from "./model-path.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import {
  addHardwareOption,
  maxTokensOption,
  type NamedHardware,
  type NamedPolicy,
  number,
  policyListOption,
  whole,
} from "./options.ts";
import { figure, progressBar, table } from "./output.ts";
import { wrapped } from "./text.ts";

interface EvalValues {
  readonly policy: NamedPolicy[];
  readonly task: TaskFamily | "all";
  readonly n: number;
  readonly target: string;
  readonly model: string;
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens: number;
  readonly rtt: number;
  readonly hardware: NamedHardware | null;
  readonly json?: true;
}

export function evalCommand(): Command {
  const command = new Command("eval")
    .description(
      "asks held-out tasks whose answers can be checked, through any policy, and says how many are right",
    )
    .addOption(
      policyListOption(
        "cloud,edge,picospec,race",
        "policies to ask, the first being what others are compared with",
      ),
    )
    .addOption(new Option("--task <family>", "what to ask").choices([...TASK_FAMILIES, "all"]).default("all"))
    .addOption(new Option("--n <count>", "tasks of each family").argParser(whole(1, 10_000)).default(20))
    .addOption(
      new Option("--target <model>", `the large model: ${MODEL}`).default(BUNDLED_TARGET, "the bundled one"),
    )
    .addOption(
      new Option("--model <model>", `the small model: ${MODEL}`).default(BUNDLED_DRAFTER, "the bundled one"),
    )
    .addOption(new Option("--temperature <t>", "0: greedy").argParser(number(0, 100)).default(0))
    .addOption(new Option("--seed <n>", "of tasks and of draws").argParser(whole(0, 2 ** 31 - 1)).default(1))
    .addOption(maxTokensOption(4096, 220))
    .addOption(
      new Option("--rtt <ms>", "round trip of the emulated network").argParser(number(0, 10_000)).default(0),
    );
  return addHardwareOption(command, "off")
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addHelpText(
      "after",
      `
Tasks are word problems (the number has to be right), small TypeScript functions (they are run, in a sandbox, against
tests), short stories (they keep to their characters), and JSON for a schema or a call of a tool. They are made for
small models that are trained on such tasks, and do not say in what form to answer: a general model may be right and
not be understood.

Examples:
  $ picospec eval
  $ picospec eval --task math --n 100 --policy cloud,race
  $ picospec eval --temperature 0.7 --seed 3 --json
  $ picospec eval --target large.gguf --model small.gguf`,
    )
    .action(runEval);
}

async function runEval(values: EvalValues): Promise<void> {
  const { rtt, hardware, json } = values;
  const target = await modelPath(values.target);
  const model = await checkedModelPath(values.model);
  const pair = { target, drafter: model, rtt, jitter: 0, mbps: Number.POSITIVE_INFINITY, hardware };
  const result = await withLocalPair(pair, async (open) => {
    // Along greedy text alone: elsewhere it would say more about the draws than about the models.
    if (values.temperature > 0 || !values.policy[0]!.policy.target) return ask(values, open, null);
    const file = await LlamaModel.load(model, { gpu: "off" });
    const follower = await llamaDraftModel(file, { threads: 1 });
    return ask(values, open, follower).finally(() => {
      follower.close();
      file.close();
    });
  });
  const measured = { rttMs: rtt, pace: hardware?.name ?? null };
  if (json) console.log(JSON.stringify({ emulated: measured, ...result }, null, 2));
  else console.log(report(values, result));
}

function ask(values: EvalValues, edge: Edge, follower: DraftModel | null): Promise<EvalResult> {
  const policies = new Map(values.policy.map(({ name, policy }) => [name, policy]));
  const { temperature, maxTokens } = values;
  const question = ({ prompt, tools = [] }: Task) => {
    const messages: ChatMessage[] = [{ role: "user", content: prompt }];
    return { prompt: messages, tools: tools.map((tool): ChatTool => ({ type: "function", function: tool })) };
  };
  const answer = async (name: string, task: Task, number: number): Promise<Answered> => {
    const policy = policies.get(name)!;
    const seed = toSeed(values.seed + number);
    const sampler = { temperature };
    const { text, tokens, statistics } = await edge.ask({
      ...question(task),
      policy,
      sampler,
      seed,
      maxTokens,
    });
    return { text, tokens: tokens.map(({ token }) => token), statistics };
  };
  const bar = progressBar("asking");
  return evaluate({
    policies: [...policies.keys()],
    families: values.task === "all" ? TASK_FAMILIES : [values.task],
    tasks: values.n,
    seed: values.seed,
    answer,
    agreement:
      follower &&
      (async (task, tokens) => {
        const { policy } = values.policy[0]!;
        return agreement(follower, await edge.promptOf({ ...question(task), policy }), tokens);
      }),
    progress: (done, of) => bar.update(done / of),
  }).finally(bar.end);
}

const percent = ({ value, low, high }: Accuracy) =>
  `${(100 * value).toFixed(0)}% (${(100 * low).toFixed(0)} to ${(100 * high).toFixed(0)})`;

function report(
  { task, n, temperature, rtt, hardware }: EvalValues,
  { results, agreement }: EvalResult,
): string {
  const families = task === "all" ? TASK_FAMILIES : [task];
  const head = [
    "right",
    ...families,
    ...(families.length > 1 ? ["all"] : []),
    "accepted",
    "tokens/s",
    "same text",
  ];
  const row = (result: PolicyResult) => [
    result.policy,
    ...families.map((family) => percent(result.families[family]!)),
    ...(families.length > 1 ? [percent(result.all)] : []),
    result.acceptanceRate === null ? "–" : `${(100 * result.acceptanceRate).toFixed(1)}%`,
    figure(result.tokensPerSecond, 1),
    `${result.sameText} of ${result.all.tasks}`,
  ];
  const network =
    rtt > 0 || hardware
      ? `, emulated network (RTT ${rtt} ms) and hardware (${hardware?.name ?? "none"})`
      : "";
  const agreed = families.map((family) => {
    const share = agreement?.[family];
    return share ? `${family} ${(100 * share.value).toFixed(1)}%` : family;
  });
  const lines = [
    ...(agreement
      ? [`Tokens of ${results[0]!.policy} that the small model finds likeliest: ${agreed.join(", ")}.`]
      : []),
    `${n} held-out tasks of each family, temperature ${temperature}; 95% intervals (Wilson). Same text: as ${results[0]!.policy}.`,
    `Tokens/s on this machine${network}.`,
  ];
  return `${table([head, ...results.map(row)])}\n\n${wrapped(lines.join("\n"))}`;
}
