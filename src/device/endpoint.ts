import { networkInterfaces } from "node:os";
import { originPattern } from "../api/guard.ts";
import { type HttpServer, serveHttp } from "../api/server.ts";
import type { Edge } from "../edge/edge.ts";
import type { AnswerObserver } from "../edge/observer.ts";
import { systemClock } from "../transport/node/clock.ts";
import type { Clock } from "../util/clock.ts";
import { SettingError } from "../util/errors.ts";
import { type Log, SILENT_LOG } from "../util/log.ts";
import { freshSeed, software } from "./node.ts";
import { tellFault } from "./options.ts";
import { ResponseFiles } from "./response-files.ts";

/** What may be said about an endpoint; nothing has to be. */
export interface EndpointSettings {
  /** default, or 0: any free one */
  readonly port?: number;
  /** default: 127.0.0.1 */
  readonly host?: string;
  /** answers that are made at a time; default: 32 */
  readonly concurrent?: number;
  /** requests that wait for their turn, more are turned away; default: 256 */
  readonly waiting?: number;
  /** names that it goes by, besides localhost */
  readonly hosts?: readonly string[];
  /** origins of web pages that may ask: "http://localhost:3000", "https://*.example.com", "http://localhost:*"; "*": any */
  readonly origins?: readonly string[];
  /** clients have to bring it as a bearer token; default: not required */
  readonly apiKey?: string;
  /** responses are kept on disk; default: in memory, the last thousand */
  readonly store?: StoreSettings;
  /** lines for the operator: requests, answers, a schema that was relaxed; no text and no secrets. Default: none */
  readonly log?: Log;
  /** called for each answer: counts or traces it; default: nothing does */
  readonly observe?: (requestId: string) => AnswerObserver;
  /** for /readyz: why it cannot answer now; null: it can. Default: by the link to the cloud, if the policy needs one */
  readonly notReady?: () => string | null;
  /** a fault of PicoSpec's own, which costs a request at most. Default: a line on stderr */
  readonly failed?: (error: unknown) => void;
}

/** Where responses are kept, to be read again and gone on from. */
export interface StoreSettings {
  /** made where it is not there; one that others may read is refused */
  readonly folder: string;
  /** older responses are removed; default: 30 */
  readonly days?: number;
}

const DEFAULT_STORE_DAYS = 30;

/**
 * OpenAI's API over HTTP, answered by an edge, or by several that requests name by their models. The caller closes the server, and then the edge.
 * @throws HttpError `cannot_listen`; PicoSpecError `bad_store`; SettingError for an origin that is no pattern
 * @example
 * import { createEdge, serveEndpoint } from "picospec";
 *
 * const edge = await createEdge({ cloud: "ws://127.0.0.1:4747", model: "small.gguf" });
 * const server = await serveEndpoint(edge, { port: 8080 });
 * console.log(`${server.url}/v1`);
 */
export async function serveEndpoint(
  edge: Edge | readonly Edge[],
  settings: EndpointSettings = {},
): Promise<HttpServer> {
  const { port = 0, host = "127.0.0.1", concurrent = 32, waiting = 256 } = settings;
  const { hosts = [], origins = [], apiKey = null, log = SILENT_LOG, observe, failed = tellFault } = settings;
  const wrong = origins.find((origin) => originPattern(origin) === null);
  if (wrong !== undefined) {
    const message = `${JSON.stringify(wrong)} is no origin: give one such as https://app.example.com, https://*.example.com or http://localhost:*`;
    throw new SettingError("origins", message);
  }
  const edges: readonly Edge[] = Array.isArray(edge) ? edge : [edge as Edge];
  const { notReady = linkProblem(edges, systemClock) } = settings;
  const { store } = settings;
  const responses = store && new ResponseFiles({ days: DEFAULT_STORE_DAYS, ...store, log, nowMs: Date.now });
  const serving = serveHttp({
    ...(responses ? { responses } : {}),
    edge,
    freshSeed,
    concurrent,
    waiting,
    host,
    port,
    // Who listens to an address of the network goes by it.
    guard: {
      ...{ hosts: [host, ...hosts], origins, apiKey },
      ...(EVERY_ADDRESS.has(host) ? { addresses: machineAddresses } : {}),
    },
    software: software(),
    ...{ log, notReady, failed, clock: systemClock },
    ...(observe ? { observe } : {}),
  });
  if (!responses) return serving;
  try {
    const server = await serving;
    return { ...server, close: () => server.close().finally(() => responses.close()) };
  } catch (error) {
    responses.close();
    throw error;
  }
}

/** Listen addresses that are all of the machine's own. */
const EVERY_ADDRESS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** They change as networks come and go. */
function machineAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

/** Of tries for a link that probes cause. */
const LEAST_MS_BETWEEN_TRIES = 5000;

/**
 * Why no edge of an endpoint can answer. A link is made when an answer needs one, and who waits for readiness asks no
 * answers: so a probe that finds no link has the edges try for one.
 */
export function linkProblem(
  edges: readonly Pick<Edge, "needsCloud" | "cloud" | "offline" | "answerer">[],
  clock: Clock,
): () => string | null {
  let triedMs = Number.NEGATIVE_INFINITY;
  return () => {
    if (edges.some((edge) => !edge.needsCloud || edge.cloud?.up || edge.offline === "edge")) return null;
    const nowMs = clock.nowMs();
    if (nowMs - triedMs >= LEAST_MS_BETWEEN_TRIES) {
      triedMs = nowMs;
      // What comes of it is told to the next probe.
      for (const edge of edges) edge.answerer().catch(() => {});
    }
    const error = edges.map(({ cloud }) => cloud?.error).find((one) => one);
    return `no link to the cloud${error ? `: ${error.message}` : ""}`;
  };
}
