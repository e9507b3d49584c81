import { checkPolicy, type DecodingPolicy, type PolicyName, policyNamed } from "../decoding/policy.ts";
import { Edge, type EdgeOptions, type OfflineMode } from "../edge/edge.ts";
import type { CloudState } from "../edge/keeper.ts";
import { type ComputeOptions, checkCompute, computeOf } from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import type { PullProgress } from "../hub/pull.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import type { ConnectSettings } from "../transport/node/connect.ts";
import { PicoSpecError, SettingError } from "../util/errors.ts";
import { defaultThreads, isLoopback } from "./cores.ts";
import { Device, type DeviceOptions } from "./device.ts";
import type { DrafterKind, LoadedDrafter } from "./drafter.ts";
import { DRAFTERS } from "./engines.ts";
import { loadGrammars } from "./grammars.ts";
import { modelFile } from "./model-file.ts";
import { freshSeed } from "./node.ts";
import { need, needGpu, needWhole, tellFault } from "./options.ts";

/** An edge out of a model file and the address of a cloud. */

export interface CreateEdgeOptions extends ComputeOptions {
  /**
   * Address of the cloud, ws:// or wss://, or of several that serve one target: where one goes away, answers go on at
   * another. Not given: the small model answers alone
   */
  readonly cloud?: string | readonly string[];
  /** what clients call the model. Default: as the cloud does */
  readonly name?: string;
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
  /** of the CPU, for the drafter; default: this machine's cores but one, or half of them where the cloud is here too */
  readonly threads?: number;
  /** default: `auto` */
  readonly gpu?: GpuChoice;
  /** how long to try when the link breaks, ms; answers go on where they were. Default: 30,000 */
  readonly reconnectMs?: number;
  /**
   * What becomes of questions while the cloud is away: they wait for `reconnectMs`, the small model answers, or they fail.
   * With it the edge is made also where the cloud is not there yet, and connects when it comes. Default: the cloud has to
   * be there, and questions wait while its link is made anew
   */
  readonly offline?: OfflineMode;
  /** how the cloud is has changed. Default: not told */
  readonly cloudChanged?: (state: CloudState) => void;
  /** a fault of PicoSpec's own, which costs an answer at most. Default: a line on stderr */
  readonly failed?: (error: unknown) => void;
  /** of loading the model, [0, 1] */
  readonly loading?: (fraction: number) => void;
  /** of a model that comes from the hub */
  readonly downloading?: (progress: PullProgress) => void;
}

/** What several edges of one process share, or one of them knows beforehand. */
export interface EdgeSharing {
  readonly loaded?: LoadedDrafter;
  readonly expected?: TargetInfo;
  /** a cloud that refuses this edge's key or origin is told of and tried again, and ends nothing. Default: false */
  readonly refusable?: boolean;
  /** see `DeviceOptions` */
  readonly tokenizerWithinMs?: number;
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
export function createEdge(options: CreateEdgeOptions): Promise<DeviceEdge> {
  return createSharingEdge(options, {});
}

/** As `createEdge`, for one of several in this process. */
export async function createSharingEdge(
  options: CreateEdgeOptions,
  { loaded, expected, refusable = false, tokenizerWithinMs }: EdgeSharing,
): Promise<DeviceEdge> {
  const checked = checkedEdgeOptions(options);
  const { policy, model, reconnectMs, offline } = checked;
  const waitsMs = tokenizerWithinMs ?? (offline === "wait" ? reconnectMs : 0);
  const device = await Device.open({
    ...deviceOptions(checked, options),
    model: model === null || loaded ? null : await modelFile(model, options.downloading ?? (() => {})),
    tokenizerWithinMs: waitsMs,
    ...(loaded ? { loaded } : {}),
    ...(expected ? { expected } : {}),
  });
  try {
    const { tokenizer } = device.loaded;
    device.useGrammars(await loadGrammars(tokenizer, tokenizer.endTokens()));
    const asked = { policy, reconnectMs, ...(options.name === undefined ? {} : { name: options.name }) };
    return await DeviceEdge.of(device, { ...asked, ...(offline ? { offline } : {}), refusable });
  } catch (error) {
    device.close();
    throw error;
  }
}

function deviceOptions(
  { clouds, drafter, threads, gpu, reconnectMs }: CheckedEdgeOptions,
  options: CreateEdgeOptions,
): Omit<DeviceOptions, "model"> {
  const { cloudChanged, failed = tellFault, loading = () => {} } = options;
  return {
    credentials: credentialsOf(options),
    ...{ clouds, drafter, threads, gpu, reconnectMs, failed, ...computeOf(options) },
    progress: loading,
    ...(cloudChanged ? { cloudChanged } : {}),
  };
}

export function credentialsOf({
  cloudKey: key,
  cloudCa: ca,
}: Pick<CreateEdgeOptions, "cloudKey" | "cloudCa">): ConnectSettings {
  return { ...(key === undefined ? {} : { key }), ...(ca === undefined ? {} : { ca }) };
}

export interface CheckedEdgeOptions {
  readonly clouds: readonly string[];
  readonly model: string | null;
  readonly policy: DecodingPolicy;
  readonly drafter: DrafterKind;
  readonly threads: number;
  readonly gpu: GpuChoice;
  readonly reconnectMs: number;
  readonly offline: OfflineMode | null;
}

/** Most clouds of one target. */
const MOST_CLOUDS = 64;

/** @throws SettingError for options that do not go together */
export function checkedEdgeOptions(options: CreateEdgeOptions): CheckedEdgeOptions {
  const { model = null, cloud = [] } = options;
  const clouds = typeof cloud === "string" ? [cloud] : cloud;
  const { threads = defaultThreads(clouds.some(isLoopback)) } = options;
  const policy = policyOf(options.policy, clouds);
  const { target, segmentTokens } = policy;
  if (target && clouds.length === 0) {
    throw new SettingError("cloud", "this policy needs a cloud: give its address, ws://HOST:PORT");
  }
  needWhole("clouds", clouds.length, 0, MOST_CLOUDS);
  const { drafter: wanted = "both", gpu = "auto", reconnectMs = 30_000, offline = null } = options;
  const { needsModel } = DRAFTERS.named(wanted);
  needGpu(gpu);
  checkCompute(options, gpu);
  needWhole("threads", threads, 1, 512);
  need(reconnectMs >= 0, "reconnectMs", "is 0 or more", reconnectMs);
  need(
    offline === null || OFFLINE_MODES.includes(offline),
    "offline",
    `is ${OFFLINE_MODES.join(", ")}`,
    offline,
  );
  if (model === null && (!target || (segmentTokens > 0 && needsModel))) {
    throw new SettingError(
      "model",
      'give a model, a GGUF file, or the drafter "lookup" to draft without one',
    );
  }
  if (offline === "edge" && (model === null || !needsModel)) {
    throw new SettingError(
      "offline",
      "for the small model to answer alone give a model, and a drafter that loads it",
    );
  }
  // Alone, the small model itself has to speak.
  const drafter = !target && wanted === "lookup" ? "model" : wanted;
  return { clouds, model, policy, drafter, threads, gpu, reconnectMs, offline };
}

export const OFFLINE_MODES: readonly OfflineMode[] = ["wait", "edge", "fail"];

/** How a cloud refuses before it knows what is asked: its operator may think better of it. */
const AT_THE_DOOR = new Set(["bad_key", "origin_not_allowed", "certificate"]);

/** What an edge over a device wants. */
export interface DeviceEdgeOptions {
  readonly policy: DecodingPolicy;
  /** how long a question waits for the cloud, where `offline` is "wait" */
  readonly reconnectMs: number;
  /** default: the cloud has to be there */
  readonly offline?: OfflineMode;
  readonly refusable?: boolean;
  readonly name?: string;
}

/** An edge that holds a model and a link. */
export class DeviceEdge extends Edge {
  private readonly device: Device;
  private readonly name: string | null;

  private constructor(device: Device, options: EdgeOptions, name: string | null) {
    super(options);
    this.device = device;
    this.name = name;
  }

  /**
   * Takes the device over, which is closed with the edge. Connects where the policy needs a cloud.
   * @throws SettingError, ConnectionError, CloudError; the device is still the caller's then
   */
  static async of(device: Device, options: DeviceEdgeOptions): Promise<DeviceEdge> {
    const { policy, reconnectMs, offline, refusable = false, name = null } = options;
    const { loaded, keeper } = device;
    if (keeper && offline) {
      await device.begin().catch((error: unknown) => {
        const refused = error instanceof PicoSpecError && AT_THE_DOOR.has(error.code);
        if (!refusable || !refused) throw error;
      });
    } else if (keeper && policy.target) await device.connected();
    const edge: EdgeOptions = {
      ...{ remote: null, keeper, local: device.local(), freshSeed, policy },
      tokenizer: loaded.tokenizer,
      tokenizerOf: (opener) => device.tokenizerOf(opener),
      chatTemplate: loaded.chatTemplate,
      ...(offline ? { offline, patienceMs: reconnectMs } : {}),
      renderTemplate: device.renderTemplate,
    };
    return new DeviceEdge(device, edge, name);
  }

  override get modelName(): string {
    return this.name ?? super.modelName;
  }

  /** What it drafts with: for another edge of this process. */
  get loaded(): LoadedDrafter {
    return this.device.loaded;
  }

  /** Gives up a link that is of no use any more: what needs one makes another. */
  disconnect(): void {
    this.device.keeper?.drop();
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

function policyOf(policy: CreateEdgeOptions["policy"], clouds: readonly string[]): DecodingPolicy {
  if (policy === undefined) return policyNamed(clouds.length === 0 ? "edge" : "race");
  return checkPolicy(typeof policy === "string" ? policyNamed(policy) : policy);
}
