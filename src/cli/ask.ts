import { availableParallelism } from "node:os";
import { type Command, Option } from "commander";
import type { DecodingPolicy } from "../decoding/policy.ts";
import { Device } from "../device/device.ts";
import type { DrafterKind } from "../device/drafter.ts";
import { type Generated, type GenerateOptions, generate, generateAlone } from "../edge/generate.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { systemClock } from "../transport/node/clock.ts";
import { SettingError } from "../util/errors.ts";
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
    .addOption(
      new Option(
        "--model <model>",
        `the drafter, a GGUF model with the target's tokenizer: ${MODEL}; --drafter lookup can do without`,
      ),
    )
    .addOption(
      new Option("--drafter <kind>", "who drafts: the model, a look into the text, or the likelier of both")
        .choices(["model", "lookup", "both"])
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

/** What a prompt has to keep to under a policy. */
export interface PromptTerms {
  /** null: the messages' texts as they are */
  readonly chatTemplate: string | null;
  readonly contextTokens: number;
}

/** `raw`: prompts are sent without the model's chat template. */
type AskerValues = LinkValues & Pick<AskValues, "raw">;

/** Answers prompts by the drafter of this device and, where the policy wants one, a cloud. */
export class Asker {
  private readonly values: AskerValues;
  private readonly device: Device;

  private constructor(values: AskerValues, device: Device) {
    this.values = values;
    this.device = device;
  }

  /**
   * Loads the drafter, and connects where the policy of the options wants a cloud. The caller closes it.
   * @throws SettingError for options that do not go together; EngineError, ConnectionError, CloudError
   */
  static async open(values: AskerValues): Promise<Asker> {
    checkLink(values);
    const { policy, cloud, model, drafter, threads, gpu, reconnect } = values;
    const { target } = policy.policy;
    const bar = progressBar(`loading ${model ?? "the tokenizer"}`);
    const device = await Device.open({
      cloud: cloud ?? null,
      model: model === undefined ? null : await modelPath(model),
      // Alone, the small model itself has to speak.
      drafter: !target && drafter === "lookup" ? "model" : drafter,
      threads,
      gpu,
      reconnectMs: reconnect * 1000,
      progress: bar.update,
    }).finally(bar.end);
    try {
      if (target) await device.connected();
      return new Asker(values, device);
    } catch (error) {
      device.close();
      throw error;
    }
  }

  get tokenizer(): Tokenizer {
    return this.device.loaded.tokenizer;
  }

  /** @throws SettingError for a policy that cannot be asked by with these options */
  check(policy: NamedPolicy): void {
    if (policy.policy.target && this.values.cloud === undefined) throw noCloud(policy);
    if (!policy.policy.target && !this.device.loaded.own) {
      throw new SettingError("model", `policy ${policy.name} needs a model of its own: give --model FILE`);
    }
  }

  /** Connects to the cloud where the policy wants one and there is no link. */
  async terms(policy: DecodingPolicy): Promise<PromptTerms> {
    const { raw } = this.values;
    if (!policy.target) {
      const { drafter, own, chatTemplate } = this.device.loaded;
      const { contextTokens } = (own ?? drafter).reach;
      return { chatTemplate: raw ? null : chatTemplate, contextTokens };
    }
    const { target } = await this.device.connected();
    return {
      chatTemplate: raw ? null : (target.chatTemplate ?? this.device.loaded.chatTemplate),
      contextTokens: target.contextTokens,
    };
  }

  /** @throws SettingError, EngineError, ConnectionError; CloudError, and what was decided before was told to `part` */
  async ask(options: Omit<GenerateOptions, "tokenizer">): Promise<Generated> {
    const { tokenizer, drafter, own } = this.device.loaded;
    const all: GenerateOptions = { ...options, tokenizer };
    if (options.settings.policy.target) return generate(await this.device.connected(), all);
    return generateAlone(own ?? drafter, tokenizer.endTokens(), systemClock, all);
  }

  /** Gives up a link that is of no use any more: what needs one makes another. */
  disconnect(): void {
    this.device.disconnect();
  }

  close(): void {
    this.device.close();
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
