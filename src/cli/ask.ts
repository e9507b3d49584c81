import { type Command, Option } from "commander";
import { defaultThreads, isLoopback } from "../device/cores.ts";
import { Device } from "../device/device.ts";
import type { DrafterKind } from "../device/drafter.ts";
import { DeviceEdge, OFFLINE_MODES } from "../device/edge.ts";
import { DRAFTERS } from "../device/engines.ts";
import { tellFault } from "../device/options.ts";
import type { Answerer, OfflineMode } from "../edge/edge.ts";
import { checkCompute, computeOf } from "../engine/llama/compute.ts";
import { SettingError } from "../util/errors.ts";
import { addCredentialOptions, type CredentialValues, credentialsOf } from "./credentials.ts";
import { MODEL, modelPath } from "./model-path.ts";
import {
  addComputeOptions,
  addSamplerOptions,
  type GpuValue,
  maxTokensOption,
  type NamedPolicy,
  number,
  policyOption,
  type SamplerOptionValues,
  type SeedValue,
  seedOption,
  whole,
} from "./options.ts";
import { progressBar } from "./output.ts";

/** What the commands that ask a cloud share: their options, the drafter, and the link. */

/** Which models, and the way to the cloud. */
export interface LinkValues extends GpuValue, CredentialValues {
  readonly cloud?: readonly string[];
  readonly model?: string;
  readonly policy: NamedPolicy;
  readonly drafter: DrafterKind;
  readonly threads?: number;
  readonly reconnect: number;
  readonly offline?: OfflineMode;
}

export interface AskValues extends LinkValues, SeedValue, SamplerOptionValues {
  readonly system?: string;
  readonly raw?: true;
  readonly maxTokens: number;
}

/** Values of an option that can be repeated. */
export function several(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

/** @param fallback "": the cloud has to be there when the command starts */
export function offlineOption(fallback: OfflineMode | ""): Option {
  const option = new Option(
    "--offline <what>",
    `while the cloud is away questions wait for it, the small model alone answers (edge), or they fail${
      fallback === "" ? " (default: the cloud has to be there at the start)" : ""
    }`,
  ).choices(OFFLINE_MODES);
  return fallback === "" ? option : option.default(fallback);
}

export function addLinkOptions(command: Command): Command {
  command.addOption(
    new Option(
      "--cloud <url>",
      "the cloud, ws:// or wss:// (not needed for --policy edge); can be repeated, for clouds with the same model",
    ).argParser(several),
  );
  addCredentialOptions(command)
    .addOption(
      new Option(
        "--model <model>",
        `the drafter, a GGUF model with the target's tokenizer: ${MODEL}; --drafter lookup can do without`,
      ),
    )
    .addOption(
      new Option("--drafter <kind>", "what drafts: the model, prompt lookup, or the likelier of both")
        .choices(DRAFTERS.names)
        .default("both"),
    )
    .addOption(policyOption("race"))
    .addOption(
      new Option(
        "--threads <n>",
        "of the CPU, for the drafter (default: this machine's cores but one, or half where the cloud is here too)",
      ).argParser(whole(1, 512)),
    )
    .addOption(
      new Option(
        "--reconnect <seconds>",
        "how long to try when the link breaks; the answer goes on where it was",
      )
        .argParser(number(0, 86_400))
        .default(30),
    );
  return addComputeOptions(command);
}

export function addAskOptions(command: Command): Command {
  addLinkOptions(command)
    .addOption(new Option("--system <text>", "a system message before the prompt"))
    .addOption(offlineOption(""))
    .addOption(new Option("--raw", "send the prompt as it is, without the model's chat template"))
    .addOption(maxTokensOption(1_000_000, 512))
    .addOption(seedOption());
  return addSamplerOptions(command, 0.7);
}

/**
 * An edge that asks by the options: loads the drafter, and connects where the policy wants a cloud. The caller closes it.
 * @throws SettingError for options that do not go together; EngineError, ConnectionError, CloudError
 */
export async function openEdge(values: LinkValues): Promise<DeviceEdge> {
  checkLink(values);
  checkCompute(values, values.gpu);
  const { policy, cloud = [], model, drafter, threads, gpu, reconnect, offline } = values;
  const bar = progressBar(`loading ${model ?? "the tokenizer"}`);
  const reconnectMs = reconnect * 1000;
  const device = await Device.open({
    clouds: cloud,
    credentials: credentialsOf(values, cloud),
    model: model === undefined ? null : await modelPath(model),
    // Alone, the small model itself has to speak.
    drafter: !policy.policy.target && drafter === "lookup" ? "model" : drafter,
    threads: threads ?? defaultThreads(cloud.some(isLoopback)),
    gpu,
    ...computeOf(values),
    reconnectMs,
    progress: bar.update,
    failed: tellFault,
    tokenizerWithinMs: offline === "wait" ? reconnectMs : 0,
  }).finally(bar.end);
  try {
    const asked = { policy: policy.policy, reconnectMs };
    return await DeviceEdge.of(device, offline ? { ...asked, offline } : asked);
  } catch (error) {
    device.close();
    throw error;
  }
}

/** @throws SettingError for another policy than that of the options, where they do not do for it */
export function checkPolicyChange(policy: NamedPolicy, { cloud }: LinkValues, edge: DeviceEdge): void {
  if (policy.policy.target && cloud === undefined) throw noCloud(policy);
  if (!policy.policy.target && !edge.speaksAlone) {
    throw new SettingError("model", `policy ${policy.name} needs a model of its own: give --model FILE`);
  }
}

/** @throws SettingError for options that do not go together, in the words of the command line */
export function checkLink({ policy, cloud, model, drafter, offline }: LinkValues): void {
  if (policy.policy.target && cloud === undefined) throw noCloud(policy);
  if (offline === "edge" && (model === undefined || drafter === "lookup")) {
    const message =
      "--offline edge needs a small model that answers: give --model FILE, and no --drafter lookup";
    throw new SettingError("offline", message);
  }
  if (model !== undefined) return;
  if (!policy.policy.target || (policy.policy.segmentTokens > 0 && drafter !== "lookup")) {
    throw new SettingError("model", "give --model FILE, or --drafter lookup to draft without a model");
  }
}

function noCloud({ name }: NamedPolicy): SettingError {
  return new SettingError("cloud", `policy ${name} needs a cloud: give --cloud ws://HOST:PORT`);
}

/** What a person is told where another model answers than was asked for; null: nothing. */
export function standInNotice({ standsIn }: Answerer): string | null {
  return standsIn ? "[the cloud is away: the small model alone answers]" : null;
}
