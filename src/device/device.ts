import { connectEdge } from "../edge/connect.ts";
import { LookupDrafter } from "../edge/drafters/lookup-drafter.ts";
import { LocalOpener, type RemoteOpener } from "../edge/opener.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { systemClock } from "../transport/node/clock.ts";
import { type ConnectSettings, connect } from "../transport/node/connect.ts";
import { ConnectionError } from "../transport/transport.ts";
import { SettingError } from "../util/errors.ts";
import { cloudTokenizer, type DrafterKind, type LoadedDrafter, loadDrafter } from "./drafter.ts";
import { freshSecret, software } from "./node.ts";

export interface DeviceOptions {
  /** ws:// or wss://; null: there is none */
  readonly cloud: string | null;
  /** what the cloud asks of an edge, and who vouches for the cloud */
  readonly credentials: ConnectSettings;
  /** path of a GGUF file; null: the lookup drafts, with the tokenizer that the cloud gives away */
  readonly model: string | null;
  readonly drafter: DrafterKind;
  /** of the CPU */
  readonly threads: number;
  readonly gpu: GpuChoice;
  /** how long to try when the link breaks; answers go on where they were */
  readonly reconnectMs: number;
  /** of loading the model, [0, 1] */
  readonly progress: (fraction: number) => void;
}

/** The drafter of this device and its link to a cloud, which is made when it is needed. */
export class Device {
  readonly loaded: LoadedDrafter;
  private readonly options: DeviceOptions;
  private client: RemoteOpener | null;
  private grammars: Grammars | null = null;
  private closed = false;

  private constructor(options: DeviceOptions, loaded: LoadedDrafter, client: RemoteOpener | null) {
    this.options = options;
    this.loaded = loaded;
    this.client = client;
  }

  /**
   * Loads the drafter. The caller closes it.
   * @throws EngineError for the model; without a model ConnectionError and CloudError
   */
  static async open(options: DeviceOptions): Promise<Device> {
    const { model, threads, gpu, drafter: kind, progress } = options;
    if (model !== null) {
      const loaded = await loadDrafter({ file: model, threads, gpu, hardware: null, kind, progress });
      return new Device(options, loaded, null);
    }
    const drafter = new LookupDrafter();
    const client = await openClient(options, { fingerprint: "" }, drafter, null);
    try {
      return new Device(options, { drafter, own: null, ...(await cloudTokenizer(client)) }, client);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** The link, made now if there is none. @throws SettingError without a cloud; ConnectionError, CloudError */
  async connected(): Promise<RemoteOpener> {
    this.checkOpen();
    const { tokenizer, drafter } = this.loaded;
    const client = this.client ?? (await openClient(this.options, tokenizer, drafter, this.grammars));
    if (this.closed) client.close();
    this.checkOpen();
    this.client = client;
    return client;
  }

  /** There is a cloud to connect to. */
  get hasCloud(): boolean {
    return this.options.cloud !== null;
  }

  /** The link, where one was made. */
  get link(): RemoteOpener | null {
    return this.client;
  }

  /** The small model alone; null: there is none. */
  local(): LocalOpener | null {
    const { own, tokenizer, chatTemplate } = this.loaded;
    if (!own) return null;
    const endTokens = tokenizer.endTokens();
    const { grammars } = this;
    return new LocalOpener({
      drafter: own,
      name: "edge",
      endTokens,
      chatTemplate,
      grammars,
      clock: systemClock,
    });
  }

  /** From now on drafts keep to grammars where a question has one. A link made before knows nothing of them. */
  useGrammars(grammars: Grammars): void {
    this.grammars = grammars;
    this.disconnect();
  }

  /** Gives up a link that is of no use any more: what needs one makes another. */
  disconnect(): void {
    this.client?.close();
    this.client = null;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.disconnect();
    this.loaded.close();
  }

  private checkOpen(): void {
    if (this.closed) throw new ConnectionError("closed", "this edge was closed; make another");
  }
}

async function openClient(
  { cloud, credentials, reconnectMs }: DeviceOptions,
  tokenizer: Pick<Tokenizer, "fingerprint">,
  drafter: LoadedDrafter["drafter"],
  grammars: Grammars | null,
): Promise<RemoteOpener> {
  if (cloud === null) throw new SettingError("cloud", "there is no cloud: give its address, ws://HOST:PORT");
  const transport = await connect(cloud, credentials);
  const resume = { reconnect: () => connect(cloud, credentials), withinMs: reconnectMs, secret: freshSecret };
  return connectEdge({
    transport,
    tokenizer,
    drafter,
    clock: systemClock,
    client: software(),
    resume,
    grammars,
  });
}
