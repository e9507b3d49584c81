import type { PassEngine } from "../engine/engine.ts";
import type { LiveEngine } from "../engine/live-engine.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { systemClock } from "../transport/node/clock.ts";
import { type Listener, listen } from "../transport/node/socket.ts";
import type { CloudObserver } from "./core/observer.ts";
import type { CloudLimits } from "./driver.ts";
import { Cloud, type TargetDescription } from "./driver.ts";

export interface ServerOptions {
  /** stays the caller's to close, after the server */
  readonly model: PassEngine | LiveEngine;
  readonly description: TargetDescription;
  /** 127.0.0.1 unless said otherwise: opening it to a network is for the operator to decide */
  readonly host?: string;
  /** 0: any free port */
  readonly port: number;
  readonly server: string;
  readonly limits?: Partial<CloudLimits>;
  /** for edges without a tokenizer */
  readonly tokenizer?: Uint8Array | null;
  /** over the target's vocabulary: for answers that keep to a grammar */
  readonly grammars?: Grammars | null;
  /** a fault of ours has thrown; see `Cloud`. Default: it ends the process */
  readonly failed?: (error: unknown) => void;
  /** see `Cloud`; default: nothing observes */
  readonly observer?: CloudObserver;
}

export interface CloudServer {
  readonly url: string;
  readonly port: number;
  readonly cloud: Cloud;
  /** Tells every edge, then stops listening. */
  close(): Promise<void>;
}

/**
 * A cloud on a WebSocket port.
 * @throws ConnectionError `port_in_use`, `cannot_listen`
 * @example
 * import { serveCloud, systemClock, ToyPassEngine, toSeed } from "picospec";
 *
 * const language = { seed: toSeed(1), vocabularySize: 64, order: 3, spread: 6, divergence: 2, contextTokens: 500 };
 * const server = await serveCloud({
 *   model: new ToyPassEngine(language, systemClock, { kvSlots: 2 }),
 *   description: { name: "toy", fingerprint: "toy", endTokens: [], chatTemplate: null },
 *   port: 0,
 *   server: "my-cloud/1.0",
 * });
 * console.log(server.url);
 */
export async function serveCloud(options: ServerOptions): Promise<CloudServer> {
  const { model, description, server, limits, host = "127.0.0.1", port } = options;
  const { tokenizer = null, grammars = null } = options;
  const cloud = new Cloud({
    model,
    description,
    clock: systemClock,
    server,
    tokenizer,
    grammars,
    ...(limits ? { limits } : {}),
    ...(options.failed ? { failed: options.failed } : {}),
    ...(options.observer ? { observer: options.observer } : {}),
  });
  const listener: Listener = await listen({ host, port, connected: (transport) => cloud.accept(transport) });
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `ws://${name}:${listener.port}`,
    port: listener.port,
    cloud,
    async close() {
      cloud.close();
      await listener.close();
    },
  };
}
