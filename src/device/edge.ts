import { availableParallelism } from "node:os";
import { checkPolicy, type DecodingPolicy, type PolicyName, policyNamed } from "../decoding/policy.ts";
import { Edge, type EdgeOptions } from "../edge/edge.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import type { PullProgress } from "../hub/pull.ts";
import { SettingError } from "../util/errors.ts";
import { Device } from "./device.ts";
import type { DrafterKind } from "./drafter.ts";
import { DRAFTERS } from "./engines.ts";
import { loadGrammars } from "./grammars.ts";
import { modelFile } from "./model-file.ts";
import { freshSeed } from "./node.ts";
import { need, needGpu, needWhole } from "./options.ts";

/** An edge out of a model file and the address of a cloud. */

export interface CreateEdgeOptions {
  /** address of the cloud, ws:// or wss://; not given: the small model answers alone */
  readonly cloud?: string;
  /** the cloud's key for this edge; default: none */
  readonly cloudKey?: string;
  /** certificates of authorities that vouch for the cloud, besides the well-known ones, PEM; default: none */
  readonly cloudCa?: string;
  /** the drafter, a GGUF file or hf:owner/repo[:quant]; only the drafter `lookup` can do without */
  readonly model?: string;
  /** of questions that name none; default: `race`, or `edge` without a cloud */
  readonly policy?: PolicyName | DecodingPolicy;
  /** what drafts: the model, prompt lookup, or the likelier of both; default: `both` */
  readonly drafter?: DrafterKind;
  /** of the CPU, for the drafter; default: half of them */
  readonly threads?: number;
  /** default: `auto` */
  readonly gpu?: GpuChoice;
  /** how long to try when the link breaks, ms; answers go on where they were. Default: 30,000 */
  readonly reconnectMs?: number;
  /** of loading the model, [0, 1] */
  readonly loading?: (fraction: number) => void;
  /** of a model that comes from the hub */
  readonly downloading?: (progress: PullProgress) => void;
}

/**
 * Loads the drafter, connects to the cloud, and is ready to answer. The caller closes it.
 * @throws SettingError for options that do not go together; HubError, EngineError, ConnectionError, CloudError
 * @example
 * import { createEdge } from "picospec";
 *
 * await using edge = await createEdge({ cloud: "ws://127.0.0.1:4747", model: "small.gguf" });
 * const { text } = await edge.ask({ prompt: "Why is the sky blue?", maxTokens: 100 });
 * console.log(text);
 */
export async function createEdge(options: CreateEdgeOptions): Promise<DeviceEdge> {
  const { cloud = null, model = null, threads = Math.max(1, availableParallelism() >> 1) } = options;
  const policy = policyOf(options);
  const { target, segmentTokens } = policy;
  if (target && cloud === null) {
    throw new SettingError("cloud", "this policy needs a cloud: give its address, ws://HOST:PORT");
  }
  const { drafter: wanted = "both", gpu = "auto", reconnectMs = 30_000 } = options;
  const { needsModel } = DRAFTERS.named(wanted);
  needGpu(gpu);
  needWhole("threads", threads, 1, 512);
  need(reconnectMs >= 0, "reconnectMs", "is 0 or more", reconnectMs);
  if (model === null && (!target || (segmentTokens > 0 && needsModel))) {
    throw new SettingError(
      "model",
      'give a model, a GGUF file, or the drafter "lookup" to draft without one',
    );
  }
  const device = await Device.open({
    cloud,
    credentials: {
      ...(options.cloudKey === undefined ? {} : { key: options.cloudKey }),
      ...(options.cloudCa === undefined ? {} : { ca: options.cloudCa }),
    },
    model: model === null ? null : await modelFile(model, options.downloading ?? (() => {})),
    // Alone, the small model itself has to speak.
    drafter: !target && wanted === "lookup" ? "model" : wanted,
    threads,
    gpu,
    reconnectMs,
    progress: options.loading ?? (() => {}),
  });
  try {
    const { loaded } = device;
    const grammars = await loadGrammars(loaded.tokenizer, loaded.tokenizer.endTokens());
    device.useGrammars(grammars);
    if (cloud !== null) await device.connected();
    return await DeviceEdge.of(device, policy);
  } catch (error) {
    device.close();
    throw error;
  }
}

/** An edge that holds a model and a link. */
export class DeviceEdge extends Edge {
  private readonly device: Device;

  private constructor(device: Device, options: EdgeOptions) {
    super(options);
    this.device = device;
  }

  /**
   * Takes the device over, which is closed with the edge. Connects where the policy needs a cloud.
   * @throws SettingError, ConnectionError, CloudError; the device is still the caller's then
   */
  static async of(device: Device, policy: DecodingPolicy): Promise<DeviceEdge> {
    const { loaded } = device;
    return new DeviceEdge(device, {
      remote: policy.target ? await device.connected() : device.link,
      reconnect: device.hasCloud
        ? () => {
            device.disconnect();
            return device.connected();
          }
        : null,
      local: device.local(),
      tokenizer: loaded.tokenizer,
      chatTemplate: loaded.chatTemplate,
      freshSeed,
      policy,
    });
  }

  /** Gives up a link that is of no use any more: what needs one makes another. */
  disconnect(): void {
    this.device.disconnect();
  }

  /** Ends what is under way, then the link and the model. */
  override async close(): Promise<void> {
    await super.close();
    this.device.close();
  }

  /** `await using` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function policyOf({ policy, cloud }: CreateEdgeOptions): DecodingPolicy {
  if (policy === undefined) return policyNamed(cloud === undefined ? "edge" : "race");
  return checkPolicy(typeof policy === "string" ? policyNamed(policy) : policy);
}
