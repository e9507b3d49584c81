import { availableParallelism } from "node:os";
import { type Command, Option } from "commander";
import type { DecodingPolicy } from "../decoding/policy.ts";
import type { EdgeClient } from "../edge/client.ts";
import type { Drafter } from "../edge/drafter.ts";
import { Edge } from "../edge/edge.ts";
import {
  connectEdge,
  type Generated,
  type GenerateOptions,
  generate,
  generateAlone,
} from "../edge/generate.ts";
import { LookupDrafter } from "../edge/lookup-drafter.ts";
import { XGrammars } from "../engine/xgrammar/grammars.ts";
import type { Grammars } from "../text/grammar.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/socket.ts";
import { SettingError } from "../util/errors.ts";
import { cloudTokenizer, type DrafterKind, type LoadedDrafter, loadDrafter } from "./edge.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { freshSecret, freshSeed, software } from "./node.ts";
import {
  addSamplerOptions,
  type GpuValue,
  gpuOption,
  type NamedPolicy,
  number,
  policyOption,
  type SamplerOptionValues,
  type SeedValue,
  seedOption,
  whole,
} from "./options.ts";

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
    .addOption(
      new Option("--max-tokens <n>", "end the answer after so many")
        .argParser(whole(1, 1_000_000))
        .default(512),
    )
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
  private readonly loaded: LoadedDrafter;
  private client: EdgeClient | null;
  private grammars: Grammars | null = null;

  private constructor(values: AskerValues, loaded: LoadedDrafter, client: EdgeClient | null) {
    this.values = values;
    this.loaded = loaded;
    this.client = client;
  }

  /**
   * Loads the drafter, and connects where the policy of the options wants a cloud. The caller closes it.
   * @throws SettingError for options that do not go together; EngineError, ConnectionError, CloudError
   */
  static async open(values: AskerValues): Promise<Asker> {
    const { target } = values.policy.policy;
    if (target && values.cloud === undefined) throw noCloud(values.policy);
    if (values.model === undefined) return Asker.openWithoutModel(values);
    // Alone, the small model itself has to speak.
    const kind = !target && values.drafter === "lookup" ? "model" : values.drafter;
    const { model, threads, gpu } = values;
    const file = await modelPath(model);
    const loaded = await loadDrafter({ file, threads, gpu, pace: null, kind });
    const asker = new Asker(values, loaded, null);
    try {
      if (target) await asker.connected();
      return asker;
    } catch (error) {
      asker.close();
      throw error;
    }
  }

  /** The tokenizer comes from the cloud. */
  private static async openWithoutModel(values: AskerValues): Promise<Asker> {
    const { policy, drafter: kind } = values;
    if (!policy.policy.target || (policy.policy.segmentTokens > 0 && kind !== "lookup")) {
      throw new SettingError("model", "give --model FILE, or --drafter lookup to draft without a model");
    }
    const drafter = new LookupDrafter();
    const client = await openClient(values, { fingerprint: "" }, drafter);
    try {
      return new Asker(values, { drafter, own: null, ...(await cloudTokenizer(client)) }, client);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  get tokenizer(): Tokenizer {
    return this.loaded.tokenizer;
  }

  /** @throws SettingError for a policy that cannot be asked by with these options */
  check(policy: NamedPolicy): void {
    if (policy.policy.target && this.values.cloud === undefined) throw noCloud(policy);
    if (!policy.policy.target && !this.loaded.own) {
      throw new SettingError("model", `policy ${policy.name} needs a model of its own: give --model FILE`);
    }
  }

  /** Connects to the cloud where the policy wants one and there is no link. */
  async terms(policy: DecodingPolicy): Promise<PromptTerms> {
    const { raw } = this.values;
    if (!policy.target) {
      const { drafter, own, chatTemplate } = this.loaded;
      const { contextTokens } = (own ?? drafter).reach;
      return { chatTemplate: raw ? null : chatTemplate, contextTokens };
    }
    const { target } = await this.connected();
    return {
      chatTemplate: raw ? null : (target.chatTemplate ?? this.loaded.chatTemplate),
      contextTokens: target.contextTokens,
    };
  }

  /** @throws SettingError, EngineError, ConnectionError; CloudError, and what was decided before was told to `part` */
  async ask(options: Omit<GenerateOptions, "tokenizer">): Promise<Generated> {
    const { tokenizer, drafter, own } = this.loaded;
    const all: GenerateOptions = { ...options, tokenizer };
    if (options.settings.policy.target) return generate(await this.connected(), all);
    return generateAlone(own ?? drafter, tokenizer.endTokens(), systemClock, all);
  }

  /**
   * This device as one that others ask: it knows grammars.
   * @throws EngineError `no_grammars`; ConnectionError, CloudError
   */
  async edge(): Promise<Edge> {
    const { values, loaded, tokenizer } = this;
    const { policy } = values.policy;
    this.grammars = await XGrammars.create(loaded.tokenizer, loaded.tokenizer.endTokens());
    // A link that was made before does not know them.
    this.disconnect();
    return new Edge({
      client: policy.target ? await this.connected() : null,
      reconnect: () => {
        this.disconnect();
        return this.connected();
      },
      drafter: loaded.drafter,
      alone: loaded.own,
      tokenizer,
      endTokens: loaded.tokenizer.endTokens(),
      chatTemplate: loaded.chatTemplate,
      grammars: this.grammars,
      clock: systemClock,
      freshSeed,
      policy,
    });
  }

  /** Gives up a link that is of no use any more: what needs one makes another. */
  disconnect(): void {
    this.client?.close();
    this.client = null;
  }

  close(): void {
    this.disconnect();
    this.loaded.close();
  }

  private async connected(): Promise<EdgeClient> {
    this.client ??= await openClient(this.values, this.tokenizer, this.loaded.drafter, this.grammars);
    return this.client;
  }
}

function noCloud({ name }: NamedPolicy): SettingError {
  return new SettingError("cloud", `policy ${name} needs a cloud: give --cloud ws://HOST:PORT`);
}

async function openClient(
  { cloud, reconnect }: LinkValues,
  tokenizer: Pick<Tokenizer, "fingerprint">,
  drafter: Drafter,
  grammars: Grammars | null = null,
): Promise<EdgeClient> {
  const transport = await connect(cloud!);
  const resume = { reconnect: () => connect(cloud!), withinMs: reconnect * 1000, secret: freshSecret };
  const client = software();
  return connectEdge({ transport, tokenizer, drafter, clock: systemClock, client, resume, grammars });
}
