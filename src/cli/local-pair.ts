import { POLICIES } from "../decoding/policy.ts";
import { type LoadedDrafter, loadDrafter } from "../device/drafter.ts";
import { IsolatedTemplates } from "../device/isolation/templates.ts";
import { freshSeed, software } from "../device/node.ts";
import { Pairings } from "../device/pairing.ts";
import { connectEdge } from "../edge/connect.ts";
import { Edge } from "../edge/edge.ts";
import { LocalOpener } from "../edge/local-opener.ts";
import type { RemoteOpener } from "../edge/opener.ts";
import type { RenderTemplate } from "../text/chat-template.ts";
import { coarseClock, systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/connect.ts";
import { symmetricWan, type WanProfile, wan } from "../transport/wan.ts";
import type { Clock } from "../util/clock.ts";
import { startCloudProcess } from "./cloud-process.ts";
import type { NamedHardware } from "./options.ts";
import { progressBar } from "./output.ts";

/** Both sides on this machine, with an emulated network between them. */
export interface LocalPairOptions {
  readonly target: string;
  readonly drafter: string;
  readonly rtt: number;
  readonly jitter: number;
  readonly mbps: number;
  readonly hardware: NamedHardware | null;
}

/** Starts a cloud process and the drafter, and ends both when `use` is done, however that goes. */
export async function withLocalPair<T>(
  options: LocalPairOptions,
  use: (edge: Edge) => Promise<T>,
): Promise<T> {
  const { target, drafter, hardware, rtt, jitter, mbps } = options;
  const cloud = await startCloudProcess([
    ...["--model", target, "--port", "0", "--gpu", "off"],
    // ggml's threads spin: with both sides on one machine each gets one.
    ...["--threads", "1", "--kv-slots", "1", "--hardware", hardware?.name ?? "off"],
  ]);
  try {
    const edges = await WanEdges.load(drafter, hardware);
    try {
      return await use(await edges.open(cloud.url, symmetricWan(rtt, jitter, mbps)));
    } finally {
      edges.close();
    }
  } finally {
    await cloud.stop();
  }
}

/** One drafter, and edges with it over networks that are emulated. */
export class WanEdges {
  private readonly loaded: LoadedDrafter;
  private readonly pairings: Pairings;
  private readonly templates = new IsolatedTemplates();
  private readonly clients: RemoteOpener[] = [];
  private readonly wanClock: Clock;

  private constructor(loaded: LoadedDrafter, emulated: boolean) {
    // Where the drafter is real, its processor belongs to it.
    this.wanClock = emulated ? systemClock : coarseClock;
    this.loaded = loaded;
    this.pairings = new Pairings(loaded);
  }

  /** The caller closes it. @throws EngineError for a file that is no model for this */
  static async load(file: string, hardware: NamedHardware | null): Promise<WanEdges> {
    const bar = progressBar(`loading ${file}`);
    const emulated = hardware?.profile ?? null;
    const options = { file, threads: 1, gpu: "off", hardware: emulated, progress: bar.update } as const;
    return new WanEdges(await loadDrafter(options).finally(bar.end), emulated !== null);
  }

  /** An edge, which ends with this. @throws ConnectionError, CloudError */
  async open(url: string, network: WanProfile): Promise<Edge> {
    const client = await this.pairings.open(async (pairing) =>
      connectEdge({
        transport: wan(await connect(url), network, this.wanClock, Math.random),
        tokenizer: { fingerprint: "" },
        drafter: pairing.drafter,
        clock: systemClock,
        client: software(),
      }),
    );
    this.clients.push(client);
    return edgeOf(client, this.loaded, this.pairings, this.templates.render);
  }

  close(): void {
    this.templates.close();
    for (const client of this.clients) client.close();
    this.pairings.close();
    this.loaded.close();
  }
}

function edgeOf(
  remote: RemoteOpener,
  { drafter, tokenizer, chatTemplate }: LoadedDrafter,
  pairings: Pairings,
  renderTemplate: RenderTemplate,
): Edge {
  return new Edge({
    remote,
    local: new LocalOpener({
      drafter,
      name: "edge",
      endTokens: tokenizer.endTokens(),
      chatTemplate,
      grammars: null,
      clock: systemClock,
    }),
    tokenizer,
    tokenizerOf: (opener) => pairings.of(opener).tokenizer,
    chatTemplate: null,
    renderTemplate,
    freshSeed,
    policy: POLICIES.race,
  });
}
