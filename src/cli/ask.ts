import { availableParallelism } from "node:os";
import { type Command, Option } from "commander";
import { Device } from "../device/device.ts";
import type { DrafterKind } from "../device/drafter.ts";
import { DeviceEdge } from "../device/edge.ts";
import { DRAFTERS } from "../device/engines.ts";
import type { ConnectSettings } from "../transport/node/connect.ts";
import { SettingError } from "../util/errors.ts";
import { readText } from "./files.ts";
import { MODEL, modelPath } from "./model-path.ts";
import {
  addSamplerOptions,
  type GpuValue,
  gpuOption,
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
export interface LinkValues extends GpuValue {
  readonly cloud?: string;
  readonly cloudKey?: string;
  readonly cloudCa?: string;
  readonly model?: string;
  readonly policy: NamedPolicy;
  readonly drafter: DrafterKind;
  readonly threads: number;
  readonly reconnect: number;
}

export interface AskValues extends LinkValues, SeedValue, SamplerOptionValues {
  readonly system?: string;
  readonly raw?: true;
  readonly maxTokens: number;
}

export function addLinkOptions(command: Command): Command {
  return command
    .addOption(new Option("--cloud <url>", "the cloud, ws:// or wss:// (not needed for --policy edge)"))
    .addOption(new Option("--cloud-key <key>", "the cloud's key for this edge").env("PICOSPEC_CLOUD_KEY"))
    .addOption(
      new Option("--cloud-ca <file>", "certificates of an authority that vouches for the cloud, PEM").env(
        "PICOSPEC_CLOUD_CA",
      ),
    )
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
      new Option("--threads <n>", "of the CPU, for the drafter")
        .argParser(whole(1, 512))
        .default(Math.max(1, availableParallelism() >> 1)),
    )
    .addOption(gpuOption())
    .addOption(
      new Option(
        "--reconnect <seconds>",
        "how long to try when the link breaks; the answer goes on where it was",
      )
        .argParser(number(0, 86_400))
        .default(30),
    );
}

export function addAskOptions(command: Command): Command {
  addLinkOptions(command)
    .addOption(new Option("--system <text>", "a system message before the prompt"))
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
  const { policy, cloud, model, drafter, threads, gpu, reconnect } = values;
  const bar = progressBar(`loading ${model ?? "the tokenizer"}`);
  const device = await Device.open({
    cloud: cloud ?? null,
    credentials: credentialsOf(values),
    model: model === undefined ? null : await modelPath(model),
    // Alone, the small model itself has to speak.
    drafter: !policy.policy.target && drafter === "lookup" ? "model" : drafter,
    threads,
    gpu,
    reconnectMs: reconnect * 1000,
    progress: bar.update,
  }).finally(bar.end);
  try {
    return await DeviceEdge.of(device, policy.policy);
  } catch (error) {
    device.close();
    throw error;
  }
}

/** @throws PicoSpecError `bad_file` for certificates that cannot be read */
export function credentialsOf({ cloud, cloudKey, cloudCa }: LinkValues): ConnectSettings {
  if (cloudKey !== undefined && cloud !== undefined && isOpenWire(cloud)) {
    console.error(`${cloud} is not encrypted: who is on the way to it reads the key; prefer wss://`);
  }
  return {
    ...(cloudKey === undefined ? {} : { key: cloudKey }),
    ...(cloudCa === undefined ? {} : { ca: readText(cloudCa, "a PEM file") }),
  };
}

/** What is sent there can be read by others. */
function isOpenWire(url: string): boolean {
  return /^ws:\/\//i.test(url) && !/^ws:\/\/(?:localhost|127\.|\[::1\])/i.test(url);
}

/** @throws SettingError for another policy than that of the options, where they do not do for it */
export function checkPolicyChange(policy: NamedPolicy, { cloud }: LinkValues, edge: DeviceEdge): void {
  if (policy.policy.target && cloud === undefined) throw noCloud(policy);
  if (!policy.policy.target && !edge.speaksAlone) {
    throw new SettingError("model", `policy ${policy.name} needs a model of its own: give --model FILE`);
  }
}

/** @throws SettingError for options that do not go together, in the words of the command line */
export function checkLink({ policy, cloud, model, drafter }: LinkValues): void {
  if (policy.policy.target && cloud === undefined) throw noCloud(policy);
  if (model !== undefined) return;
  if (!policy.policy.target || (policy.policy.segmentTokens > 0 && drafter !== "lookup")) {
    throw new SettingError("model", "give --model FILE, or --drafter lookup to draft without a model");
  }
}

function noCloud({ name }: NamedPolicy): SettingError {
  return new SettingError("cloud", `policy ${name} needs a cloud: give --cloud ws://HOST:PORT`);
}
