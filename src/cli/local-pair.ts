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
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/connect.ts";
import { symmetricWan, wan } from "../transport/wan.ts";
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
    const bar = progressBar(`loading ${drafter}`);
    const loaded = await loadDrafter({
      file: drafter,
      threads: 1,
      gpu: "off",
      hardware: hardware?.profile ?? null,
      progress: bar.update,
    }).finally(bar.end);
    const pairings = new Pairings(loaded);
    try {
      const network = symmetricWan(rtt, jitter, mbps);
      const client = await pairings.open(async (pairing) =>
        connectEdge({
          transport: wan(await connect(cloud.url), network, systemClock, Math.random),
          tokenizer: { fingerprint: "" },
          drafter: pairing.drafter,
          clock: systemClock,
          client: software(),
        }),
      );
      const templates = new IsolatedTemplates();
      try {
        return await use(edgeOf(client, loaded, pairings, templates.render));
      } finally {
        templates.close();
        client.close();
      }
    } finally {
      pairings.close();
      loaded.close();
    }
  } finally {
    await cloud.stop();
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
