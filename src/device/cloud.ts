import { type CloudServer, serveCloud } from "../cloud/server.ts";
import { type ComputeOptions, checkCompute, computeOf } from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import { type HardwareProfile, pacedTarget } from "../engine/paced.ts";
import type { PullProgress } from "../hub/pull.ts";
import { NO_TEMPLATE } from "../text/chat-template.ts";
import { systemClock } from "../transport/node/clock.ts";
import { SettingError } from "../util/errors.ts";
import { CloudSecrets } from "./cloud-secrets.ts";
import { defaultThreads } from "./cores.ts";
import { SERVER_ENGINE, TARGET_ENGINES } from "./engines.ts";
import { modelFile } from "./model-file.ts";
import { software } from "./node.ts";
import type { CloudOperations } from "./operations.ts";
import { need, needGpu, needWhole, tellFault } from "./options.ts";
import type { EngineServers, OpenedTarget } from "./target.ts";

/** A cloud out of a model file. */

export interface CreateCloudOptions extends ComputeOptions {
  /** what runs the target, by name. Default: `llama` */
  readonly engine?: string;
  /**
   * the target, a GGUF file or hf:owner/repo[:quant]; of an engine that is a server, its name there. Default: of a server,
   * the one that it has
   */
  readonly model?: string;
  /** of an engine that is a server: addresses of one or more that have the model, such as http://127.0.0.1:8000 */
  readonly urls?: readonly string[];
  /**
   * where their plugins take drafts, unix:/PATH or HOST:PORT, in the order of `urls`; the engine processes of one server
   * in one, with commas. Default: none, and drafts are not used
   */
  readonly mailboxes?: readonly string[];
  /** that the plugins were started with */
  readonly mailboxSecret?: string;
  /** key of the servers' API. Default: none */
  readonly engineApiKey?: string;
  /** folder with the model's tokenizer.json. Default: where the server has it, on this machine */
  readonly tokenizer?: string;
  /** most requests at a time on one server. Default: 64 */
  readonly runs?: number;
  /** 0: any free one. Default: 4747 */
  readonly port?: number;
  /** listen address. Default: 127.0.0.1, which only this machine reaches */
  readonly host?: string;
  /** most open sessions. Default: 64 */
  readonly sessions?: number;
  /** sessions whose KV is kept at a time. Default: 8 */
  readonly kvSlots?: number;
  /** most tokens of a session. Default: the model's own; of `llama` 8,192 at most */
  readonly contextTokens?: number;
  /** of the CPU. Default: all cores but one, which is for the rest of the process */
  readonly threads?: number;
  /** default: `auto` */
  readonly gpu?: GpuChoice;
  /** tokens of a session before it makes way for one that waits. Default: 64 */
  readonly quantumTokens?: number;
  /** an idle session makes way after so long, ms. Default: 1,000 */
  readonly idleAfterMs?: number;
  /**
   * How the prompts of several clients begin, by the operator's word, as the model reads it (rendered by its template): its
   * KV is reused for all. Everything else is reused for the client alone that asked it. Default: none
   */
  readonly sharedPrefix?: string;
  /** file of keys, of which an edge has to bring one; looked at again when it changes. Default: everybody is served */
  readonly keys?: string;
  /** files of a certificate chain and its key, PEM, for wss://; looked at again when they change. Default: ws:// */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** origins of web pages that may connect, for example "https://chat.example"; "*": any. Default: none */
  readonly origins?: readonly string[];
  /** a line for the operator, such as a file of keys that cannot be read again. Default: stderr */
  readonly notice?: (line: string) => void;
  /** emulated hardware: passes take as long as there. Default: null, as fast as they are */
  readonly hardware?: HardwareProfile | null;
  /** a fault of PicoSpec's own, which costs one connection at most. Default: a line on stderr */
  readonly failed?: (error: unknown) => void;
  /** probes, metrics, log and trace; stays the caller's to close, after the cloud. Default: none */
  readonly operations?: CloudOperations;
  /** of loading the model, [0, 1] */
  readonly loading?: (fraction: number) => void;
  /** of a model that comes from the hub */
  readonly downloading?: (progress: PullProgress) => void;
}

/** Of a mailbox's secret, as the plugin has it. */
const SECRET_BYTES = 16;

/** The defaults of `createCloud`, and of `picospec cloud`. */
export const CLOUD_DEFAULTS = {
  engine: "llama",
  port: 4747,
  host: "127.0.0.1",
  sessions: 64,
  kvSlots: 8,
  runs: 64,
  quantumTokens: 64,
  idleAfterMs: 1000,
  drainSeconds: 25,
} as const;

/**
 * Loads the target and serves it to edges: with grammars, the model's chat template and end tokens, and its tokenizer
 * for edges that have none. The caller closes it.
 * @throws SettingError for an option that cannot be; KeyFileError, HubError, EngineError; ConnectionError for the port
 * @example
 * import { createCloud } from "picospec";
 *
 * await using cloud = await createCloud({ model: "large.gguf", port: 4747 });
 * console.log(`listening on ${cloud.url}`);
 */
export async function createCloud(options: CreateCloudOptions): Promise<DeviceCloud> {
  const settings = withDefaults(options);
  checkSettings(settings);
  checkUnused(options, settings.engine);
  checkCompute(options, settings.gpu);
  const { threads, gpu, kvSlots, contextTokens, hardware, host, port } = settings;
  const { loading: progress = () => {}, notice = (line: string) => console.error(line) } = options;
  const open = TARGET_ENGINES.named(settings.engine);
  const secrets = new CloudSecrets(options.keys ?? null, options.tls ?? null);
  const model = options.model ?? null;
  const target = await open({
    ...{ model, kvSlots, contextTokens, threads, gpu, progress, ...computeOf(options) },
    file: () => fileOf(options),
    servers: serversOf(options, settings.runs, notice),
  });
  try {
    const { description, tokenizer, vocabulary, grammars } = target;
    if (description.chatTemplate === null) notice(NO_TEMPLATE);
    const server = await serveCloud({
      model: emulated(target.engine, hardware),
      ...{ tokenizer, vocabulary, grammars, description, host, port },
      ...secrets.first,
      origins: options.origins ?? [],
      server: software(),
      failed: options.failed ?? tellFault,
      ...(options.operations ? { observer: options.operations.observer } : {}),
      limits: {
        sessions: settings.sessions,
        quantumRows: settings.quantumTokens,
        idleAfterMs: settings.idleAfterMs,
        ...(options.sharedPrefix ? { sharedPrefix: target.encode(options.sharedPrefix) } : {}),
      },
    });
    secrets.watch(server, notice);
    options.operations?.serving(server.cloud, "pass" in target.engine ? target.engine.kvSlots : 0);
    return new DeviceCloud(server, target, secrets, options.operations);
  } catch (error) {
    target.close();
    throw error;
  }
}

/** @throws SettingError, HubError */
function fileOf({ model, downloading = () => {} }: CreateCloudOptions): Promise<string> {
  if (typeof model === "string" && model !== "") return modelFile(model, downloading);
  throw new SettingError("model", "give a model, a GGUF file or hf:owner/repo[:quant]");
}

function serversOf(options: CreateCloudOptions, runs: number, notice: (line: string) => void): EngineServers {
  const { urls = [], mailboxes = [], tokenizer = null } = options;
  // An empty text, such as an empty variable, is no secret.
  const mailboxSecret = options.mailboxSecret || null;
  const apiKey = options.engineApiKey || null;
  if (mailboxSecret !== null && Buffer.byteLength(mailboxSecret) < SECRET_BYTES) {
    const message = `the mailbox's secret has ${SECRET_BYTES} bytes or more: openssl rand -hex 32 makes one`;
    throw new SettingError("mailboxSecret", message);
  }
  return { urls, mailboxes, mailboxSecret, apiKey, tokenizer, runs, notice };
}

/** What means something to an engine that computes in this process, and nothing to a server. */
const OF_PASSES = ["kvSlots", "quantumTokens", "idleAfterMs", "sharedPrefix", "threads"] as const;
const COMPUTE = [
  "gpuLayers",
  "mainGpu",
  "tensorSplit",
  "kvType",
  "flashAttn",
  "mlock",
  "threadsBatch",
] as const;

/** @throws SettingError for an option that would do nothing */
function checkUnused(options: CreateCloudOptions, engine: string): void {
  if (engine !== SERVER_ENGINE) return;
  const given = [...OF_PASSES, ...COMPUTE].find((name) => options[name] !== undefined);
  if (given === undefined) return;
  const message = `${given} does nothing with ${engine}, which schedules and computes by itself: leave it out, and set its server`;
  throw new SettingError(given, message);
}

/** @throws SettingError for an engine whose steps are its own business */
function emulated(engine: OpenedTarget["engine"], hardware: HardwareProfile | null) {
  if (!hardware) return engine;
  if ("pass" in engine) return pacedTarget(engine, hardware, systemClock);
  throw new SettingError("hardware", "this engine decodes by itself: its hardware cannot be emulated");
}

function withDefaults(options: CreateCloudOptions) {
  const { port, host, sessions, kvSlots, quantumTokens, idleAfterMs } = options;
  const { threads = defaultThreads(false), gpu = "auto", contextTokens = null, hardware = null } = options;
  return {
    engine: options.engine ?? CLOUD_DEFAULTS.engine,
    port: port ?? CLOUD_DEFAULTS.port,
    host: host ?? CLOUD_DEFAULTS.host,
    sessions: sessions ?? CLOUD_DEFAULTS.sessions,
    kvSlots: kvSlots ?? CLOUD_DEFAULTS.kvSlots,
    runs: options.runs ?? CLOUD_DEFAULTS.runs,
    quantumTokens: quantumTokens ?? CLOUD_DEFAULTS.quantumTokens,
    idleAfterMs: idleAfterMs ?? CLOUD_DEFAULTS.idleAfterMs,
    ...{ threads, gpu, contextTokens, hardware },
  };
}

/** @throws SettingError */
function checkSettings(settings: ReturnType<typeof withDefaults>): void {
  const { host, port, contextTokens, idleAfterMs, gpu } = settings;
  need(typeof host === "string" && host !== "", "host", "is an address, such as 127.0.0.1", host);
  needWhole("port", port, 0, 65_535);
  needWhole("sessions", settings.sessions, 1, 100_000);
  needWhole("kvSlots", settings.kvSlots, 1, 64);
  needWhole("runs", settings.runs, 1, 100_000);
  needWhole("threads", settings.threads, 1, 512);
  needWhole("quantumTokens", settings.quantumTokens, 1, 65_536);
  if (contextTokens !== null) needWhole("contextTokens", contextTokens, 16, 1_048_576);
  need(idleAfterMs >= 0, "idleAfterMs", "is 0 or more", idleAfterMs);
  needGpu(gpu);
}

/** A cloud that holds a model and a port. */
export class DeviceCloud {
  private readonly server: CloudServer;
  private readonly target: OpenedTarget;
  private readonly secrets: CloudSecrets;
  private readonly operations: CloudOperations | undefined;
  private closing: Promise<void> | null = null;

  constructor(
    server: CloudServer,
    target: OpenedTarget,
    secrets: CloudSecrets,
    operations?: CloudOperations,
  ) {
    this.server = server;
    this.secrets = secrets;
    this.target = target;
    this.operations = operations;
  }

  /** ws://HOST:PORT or wss://HOST:PORT, for edges */
  get url(): string {
    return this.server.url;
  }

  get port(): number {
    return this.server.port;
  }

  /** What is served, and by what. */
  get served() {
    const { name, fingerprint } = this.target.description;
    const { vocabularySize, contextTokens, identity = null } = this.target.engine.info;
    const { library, compute, engine } = this.target;
    const room = "pass" in engine ? { kvSlots: engine.kvSlots } : { runs: engine.runs };
    return { ...room, name, fingerprint, vocabularySize, contextTokens, identity, library, compute };
  }

  /**
   * Stops listening and begins no further sessions; edges are told to ask elsewhere. Resolves when no session is open, or
   * when the time is up: `close` is the caller's next step.
   */
  drain(withinMs: number): Promise<void> {
    this.operations?.draining();
    return this.server.drain(withinMs);
  }

  /** How many sessions are open. */
  get openSessions(): number {
    return this.server.cloud.openSessions;
  }

  /** Tells every edge, stops listening, and frees the target and its model, in this order. */
  close(): Promise<void> {
    this.secrets.close();
    this.operations?.draining();
    this.closing ??= this.server.close().finally(() => this.target.close());
    return this.closing;
  }

  /** `await using` closes it. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
