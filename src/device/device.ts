import { connectEdge } from "../edge/connect.ts";
import { CloudError } from "../edge/connection.ts";
import type { Drafter } from "../edge/drafters/drafter.ts";
import { LookupDrafter } from "../edge/drafters/lookup-drafter.ts";
import { type CloudState, Keeper } from "../edge/keeper.ts";
import { isPassing } from "../edge/links.ts";
import { LocalOpener } from "../edge/local-opener.ts";
import type { Opener, RemoteOpener } from "../edge/opener.ts";
import { type ComputeOptions, computeOf } from "../engine/llama/compute.ts";
import type { GpuChoice } from "../engine/llama/library.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import type { RenderTemplate } from "../text/chat-template.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { systemClock } from "../transport/node/clock.ts";
import { type ConnectSettings, connect } from "../transport/node/connect.ts";
import { ConnectionError, type Transport } from "../transport/transport.ts";
import { assert } from "../util/assert.ts";
import { PicoSpecError } from "../util/errors.ts";
import { cloudTokenizer, type DrafterKind, type LoadedDrafter, loadDrafter } from "./drafter.ts";
import { IsolatedTemplates } from "./isolation/templates.ts";
import { freshSecret, software } from "./node.ts";
import { Pairings } from "./pairing.ts";

export interface DeviceOptions extends ComputeOptions {
  /** ws:// or wss://, replicas of one target; empty: there is none */
  readonly clouds: readonly string[];
  /** what the clouds ask of an edge, and who vouches for them */
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
  /** the last resort: a fault of ours, which costs an answer at most */
  readonly failed: (error: unknown) => void;
  /** how the cloud is has changed. Default: not told */
  readonly cloudChanged?: (state: CloudState) => void;
  /** a drafter that another device has loaded, and closes. Default: it is loaded */
  readonly loaded?: LoadedDrafter;
  /** that the clouds have to serve. Default: what the first one serves */
  readonly expected?: TargetInfo;
  /** how long to wait for a cloud that is not there, where its tokenizer is needed, ms. Default: 0 */
  readonly tokenizerWithinMs?: number;
}

/** The drafter of this device and its links to a target, which are made when they are needed. */
export class Device {
  readonly loaded: LoadedDrafter;
  /** null: there is no cloud */
  readonly keeper: Keeper | null;
  private readonly options: DeviceOptions;
  private readonly templates = new IsolatedTemplates();
  private readonly pairings: Pairings;
  /** that every cloud has to serve; null: any */
  private target: TargetInfo | null;
  private closed = false;

  private constructor(options: DeviceOptions, loaded: LoadedDrafter, keeper: Keeper | null) {
    const open = (changed: () => void) => this.openClient(changed);
    this.options = options;
    this.target = options.expected ?? null;
    this.loaded = loaded;
    this.pairings = new Pairings(loaded);
    this.keeper = keeper ?? (options.clouds.length > 0 ? keeperOf(options, open) : null);
    // The first question does not wait for it then.
    this.templates.warm();
  }

  /**
   * Loads the drafter. The caller closes it.
   * @throws EngineError for the model; without a model ConnectionError and CloudError
   */
  static async open(options: DeviceOptions): Promise<Device> {
    const { model, threads, gpu, drafter: kind, progress, loaded } = options;
    if (loaded) return new Device(options, { ...loaded, close() {} }, null);
    if (model !== null) {
      const computed = { threads, gpu, hardware: null, ...computeOf(options) };
      const own = await loadDrafter({ file: model, kind, progress, ...computed });
      return new Device(options, own, null);
    }
    return Device.withoutModel(options);
  }

  /** With the tokenizer of a cloud, which has to be there for that. */
  private static async withoutModel(options: DeviceOptions): Promise<Device> {
    const drafter = new LookupDrafter();
    const keeper = keeperOf(options, (changed) =>
      openClient({ ...options, tokenizer: { fingerprint: "" }, drafter, grammars: null, changed }),
    );
    try {
      const client = await keeper.wait(options.tokenizerWithinMs ?? 0);
      const { tokenizer, chatTemplate, close } = await cloudTokenizer(client);
      return new Device(
        options,
        { drafter, own: null, tokenizer, chatTemplate, vocabulary: null, compute: null, close },
        null,
      );
    } finally {
      keeper.close();
    }
  }

  /** Renders chat templates, the cloud's and the model's, in a process of its own. */
  get renderTemplate(): RenderTemplate {
    return this.templates.render;
  }

  /** An opener that is not gone, made now if there is none. @throws ConnectionError, CloudError */
  async connected(): Promise<RemoteOpener> {
    assert(this.keeper, "there is a cloud");
    return this.keeper.wait(0);
  }

  /**
   * Keeps the cloud connected from now on, and tries it once: whether it is there or not is for `keeper.state`.
   * @throws for a cloud that refuses this edge, since it would for ever; ConnectionError `bad_url`
   */
  async begin(): Promise<void> {
    const { keeper } = this;
    assert(keeper, "there is a cloud");
    keeper.start();
    try {
      await keeper.wait(0);
    } catch (error) {
      if (!(error instanceof PicoSpecError) || !isPassing(error.code)) throw error;
    }
  }

  /** The small model alone; null: there is none. */
  local(): LocalOpener | null {
    const { own, tokenizer, chatTemplate } = this.loaded;
    if (!own) return null;
    return new LocalOpener({
      drafter: own,
      name: "edge",
      endTokens: tokenizer.endTokens(),
      chatTemplate,
      grammars: this.pairings.grammars,
      clock: systemClock,
      failed: this.options.failed,
    });
  }

  /** From now on drafts keep to grammars where a question has one. A link made before knows nothing of them. */
  useGrammars(grammars: Grammars): void {
    this.pairings.useGrammars(grammars);
  }

  /** Of the model behind an opener: the target's own, where it is another than the drafter's. */
  tokenizerOf(opener: Opener): Tokenizer {
    return this.pairings.of(opener).tokenizer;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.keeper?.close();
    this.templates.close();
    this.pairings.close();
    this.loaded.close();
  }

  private async openClient(changed: () => void): Promise<RemoteOpener> {
    const client = await this.pairings.open(({ drafter, grammars }, target) => {
      if (this.closed) throw new ConnectionError("closed", "this edge was closed; make another");
      const expected = target ?? this.target;
      const tokenizer = { fingerprint: "" };
      const serving = expected ? { expected } : {};
      return openClient({ ...this.options, ...serving, tokenizer, drafter, grammars, changed });
    });
    // One cloud may be given another model; among several, those with another are no replicas.
    if (this.options.clouds.length > 1) this.target = client.target;
    return client;
  }
}

function keeperOf(
  { cloudChanged }: DeviceOptions,
  open: (changed: () => void) => Promise<RemoteOpener>,
): Keeper {
  return new Keeper({
    ...{ open, clock: systemClock, random: Math.random },
    ...(cloudChanged ? { changed: cloudChanged } : {}),
  });
}

interface ClientOptions
  extends Pick<DeviceOptions, "clouds" | "credentials" | "reconnectMs" | "failed" | "expected"> {
  readonly tokenizer: Pick<Tokenizer, "fingerprint">;
  readonly drafter: Drafter | null;
  readonly grammars: Grammars | null;
  readonly changed?: () => void;
}

/** One try at each cloud, in their order. @throws what the first one said for which another try may do, or else the first */
export async function openClient(options: ClientOptions): Promise<RemoteOpener> {
  const { clouds } = options;
  let first: PicoSpecError | null = null;
  for (const place of clouds.keys()) {
    try {
      return await openAt(place, options);
    } catch (error) {
      // Whether it is down or refuses: another one may not.
      const known = error instanceof ConnectionError || error instanceof CloudError;
      if (!known || error.code === "bad_url") throw error;
      if (!first || (isPassing(error.code) && !isPassing(first.code))) first = error;
    }
  }
  throw first;
}

async function openAt(place: number, options: ClientOptions): Promise<RemoteOpener> {
  const { clouds, credentials, reconnectMs, expected, tokenizer, drafter, grammars } = options;
  const { changed, failed } = options;
  const dial = (replica: number): Promise<Transport> => connect(clouds[replica]!, credentials);
  return connectEdge({
    transport: await dial(place),
    ...{ tokenizer, drafter, grammars, failed },
    clock: systemClock,
    client: software(),
    resume: {
      reconnect: dial,
      withinMs: reconnectMs,
      secret: freshSecret,
      replicas: () => clouds.length,
      replica: place,
      random: Math.random,
      ...(expected ? { expected } : {}),
    },
    ...(changed ? { changed } : {}),
  });
}
