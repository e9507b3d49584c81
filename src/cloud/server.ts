import { createHash } from "node:crypto";
import type { PassEngine } from "../engine/engine.ts";
import type { LiveEngine } from "../engine/live-engine.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { systemClock } from "../transport/node/clock.ts";
import {
  type Certificate,
  type Handshake,
  type HandshakeRefusal,
  type Listener,
  listen,
} from "../transport/node/socket.ts";
import { assert } from "../util/assert.ts";
import type { CloudObserver } from "./core/observer.ts";
import type { CloudLimits } from "./driver.ts";
import { Cloud, type GivenVocabulary, type TargetDescription } from "./driver.ts";
import { findKey, type KeyRecord } from "./trust/keys.ts";
import type { Tenant } from "./trust/tenant.ts";

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
  /** for edges without a tokenizer, in one frame */
  readonly tokenizer?: Uint8Array | null;
  /** the same in chunks, and what pairs are judged by: see `CloudOptions` */
  readonly vocabulary?: GivenVocabulary | null;
  /** over the target's vocabulary: for answers that keep to a grammar */
  readonly grammars?: Grammars | null;
  /** what an edge has to bring one of; default: null, everybody who reaches the port is served */
  readonly keys?: readonly KeyRecord[] | null;
  /** origins of web pages that may connect, for example "https://chat.example"; "*": any. Default: none */
  readonly origins?: readonly string[];
  /** serves wss:// instead of ws:// */
  readonly certificate?: Certificate;
  /** a fault of ours has thrown; see `Cloud`. Default: it ends the process */
  readonly failed?: (error: unknown) => void;
  /** see `Cloud`; default: nothing observes */
  readonly observer?: CloudObserver;
}

export interface CloudServer {
  readonly url: string;
  readonly port: number;
  readonly cloud: Cloud;
  /** The keys have changed: connections of revoked ones end. @throws AssertionError where it was made without keys */
  useKeys(keys: readonly KeyRecord[]): void;
  /** For connections from here on. @throws Error for what is no certificate with its key */
  useCertificate(certificate: Certificate): void;
  /**
   * Stops listening and begins no further sessions. Resolves when no session is open, or when the time is up; the caller
   * closes it then.
   */
  drain(withinMs: number): Promise<void>;
  /** Tells every edge, then stops listening. */
  close(): Promise<void>;
}

/**
 * A cloud on a WebSocket port.
 * @throws ConnectionError `port_in_use`, `cannot_listen`, `bad_certificate`
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
  const { tokenizer = null, vocabulary = null, grammars = null } = options;
  const cloud = new Cloud({
    model,
    description,
    clock: systemClock,
    server,
    ...{ tokenizer, vocabulary, grammars },
    ...(limits ? { limits } : {}),
    ...(options.failed ? { failed: options.failed } : {}),
    ...(options.observer ? { observer: options.observer } : {}),
  });
  const { origins = [], certificate } = options;
  let keys = options.keys ?? null;
  const listener: Listener = await listen<Tenant | null>({
    ...{ host, port },
    ...(certificate ? { certificate } : {}),
    admit: (handshake) => {
      const decision = admit(handshake, keys, origins);
      if ("code" in decision) options.observer?.refused?.(decision.code);
      return decision;
    },
    connected: (transport, tenant) => cloud.accept(transport, tenant),
  });
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    url: `${certificate ? "wss" : "ws"}://${name}:${listener.port}`,
    port: listener.port,
    cloud,
    useKeys(records) {
      assert(keys !== null, "a cloud without keys gets none later: who is connected brought none");
      keys = records;
      cloud.useTenants(new Map(records.map(({ tenant }) => [tenant.name, tenant])));
    },
    useCertificate: (given) => listener.useCertificate(given),
    drain(withinMs) {
      listener.stopListening();
      return new Promise((resolve) => {
        const timeout = setTimeout(resolve, withinMs);
        cloud.drain(withinMs, () => {
          clearTimeout(timeout);
          resolve();
        });
      });
    },
    async close() {
      cloud.close();
      await listener.close();
    },
  };
}

/** Who may connect, and as whom. */
function admit(
  { key, origin }: Handshake,
  keys: readonly KeyRecord[] | null,
  origins: readonly string[],
): { readonly admitted: Tenant | null } | HandshakeRefusal {
  if (origin !== null && !originAllowed(origin, origins)) {
    const message = `pages of ${origin.slice(0, 200)} may not connect; the cloud's --allow-origin lets them`;
    return { status: 403, code: "origin_not_allowed", message };
  }
  if (keys === null) return { admitted: null };
  if (key === null) {
    const message = "this cloud wants a key: give it with --cloud-key or PICOSPEC_CLOUD_KEY";
    return { status: 401, code: "bad_key", message };
  }
  const hash = createHash("sha256").update(key).digest("hex");
  const found = findKey(keys, hash);
  if (found) return { admitted: found.tenant };
  const message = "this cloud does not know the key: ask its operator for another";
  return { status: 401, code: "bad_key", message };
}

function originAllowed(origin: string, origins: readonly string[]): boolean {
  return origins.includes("*") || origins.some((one) => one.toLowerCase() === origin.toLowerCase());
}
