import { Command, Option } from "commander";
import { defaultThreads } from "../device/cores.ts";
import { PicoSpecError, SettingError } from "../util/errors.ts";
import { startCloudProcess } from "./cloud-process.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { addLogOptions } from "./operations.ts";
import { addComputeOptions, policyOption, whole } from "./options.ts";
import { addEndpointOptions, type EdgeValues, serveEdge } from "./serve.ts";

/** A cloud and an edge on one machine: the cloud is a process of its own, so that both compute at the same time. */

interface BothValues extends EdgeValues {
  /** the target; that of `EdgeValues` is the drafter */
  readonly model: string;
  readonly draftModel?: string;
  readonly context?: number;
}

/** Of a model of many gigabytes on a slow disk. */
const LOADING_MS = 30 * 60_000;

/** Options of both commands: the cloud has them as well. */
const PASSED_ON = [
  ...["gpu", "gpuLayers", "mainGpu", "tensorSplit", "kvType", "flashAttn", "mlock", "threadsBatch"],
  "context",
];

export function serveCommand(): Command {
  const command = new Command("serve")
    .description("both halves on this machine: a cloud, and an edge with an endpoint for every client")
    .addOption(new Option("--model <model>", `the target, a GGUF model: ${MODEL}`).makeOptionMandatory())
    .addOption(
      new Option(
        "--draft-model <model>",
        "the drafter, a GGUF model with the target's tokenizer (default: prompt lookup drafts without a model)",
      ),
    )
    .addOption(policyOption("race"))
    .addOption(
      new Option(
        "--context <tokens>",
        "most tokens of a session (default: the model's; 8192 at most)",
      ).argParser(whole(16, 1_048_576)),
    )
    .addOption(
      new Option(
        "--threads <n>",
        "of the CPU, for each of both models (default: half of this machine's cores)",
      ).argParser(whole(1, 512)),
    );
  return addLogOptions(addEndpointOptions(addComputeOptions(command)))
    .addHelpText(
      "after",
      `
What one machine gains is less than what a remote cloud does: there is no round trip to hide. The options of the GPU are
for both models. The cloud listens on the loopback interface alone, on a free port, and ends with this command.

Examples:
  $ picospec serve --model target.gguf --draft-model drafter.gguf
  $ picospec serve --model hf:Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m --port 9000 --api-key secret`,
    )
    .action(serveBoth);
}

async function serveBoth(values: BothValues, command: Command): Promise<void> {
  if (!values.policy.policy.target) {
    const message = `policy ${values.policy.name} asks no target: use picospec edge --policy ${values.policy.name}`;
    throw new SettingError("policy", message);
  }
  const threads = values.threads ?? defaultThreads(true);
  // Here, where a download is seen.
  const target = await modelPath(values.model);
  const drafter = values.draftModel === undefined ? null : await modelPath(values.draftModel);
  const cloud = await startCloudProcess(
    [
      ...["--model", target, "--port", "0", "--threads", `${threads}`, "--drain-seconds", "0"],
      ...passedOn(command),
    ],
    LOADING_MS,
  );
  let stopping = false;
  const broken = cloud.ended.then((how) => {
    // A person's interrupt ends both at the same time.
    if (stopping) return new Promise<never>(() => {});
    throw new PicoSpecError("cloud_failed", `the cloud of this command has ended: ${how}`);
  });
  broken.catch(() => {});
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      stopping = true;
    });
  }
  const { model: _, ...rest } = values;
  try {
    await serveEdge(
      {
        ...{ ...rest, threads, cloud: [cloud.url], reconnect: RECONNECT_SECONDS, offline: "wait" },
        ...(drafter === null ? { drafter: "lookup" } : { drafter: "both", model: drafter }),
      },
      broken,
    );
  } finally {
    await cloud.stop();
  }
}

const RECONNECT_SECONDS = 30;

/** As the command line of the cloud has them. */
function passedOn(command: Command): string[] {
  const given = command.options.filter(
    (option) =>
      PASSED_ON.includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === "cli",
  );
  return given.flatMap((option) => {
    const value: unknown = command.getOptionValue(option.attributeName());
    return value === true ? [option.long!] : [option.long!, String(value)];
  });
}
