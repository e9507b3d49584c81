import { type HttpServer, serveHttp } from "../api/server.ts";
import type { Edge } from "../edge/edge.ts";
import { freshSeed, software } from "./node.ts";
import { tellFault } from "./options.ts";

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
  /** origins of web pages that may ask, for example "http://localhost:3000"; "*": any */
  readonly origins?: readonly string[];
  /** clients have to bring it as a bearer token; default: not required */
  readonly apiKey?: string;
  /** a line for the operator, such as a schema that was relaxed; default: dropped */
  readonly log?: (line: string) => void;
  /** a fault of PicoSpec's own, which costs a request at most. Default: a line on stderr */
  readonly failed?: (error: unknown) => void;
}

/**
 * OpenAI's API over HTTP, answered by an edge, or by several that requests name by their models. The caller closes the server, and then the edge.
 * @throws HttpError `cannot_listen`
 * @example
 * import { createEdge, serveEndpoint } from "picospec";
 *
 * const edge = await createEdge({ cloud: "ws://127.0.0.1:4747", model: "small.gguf" });
 * const server = await serveEndpoint(edge, { port: 8080 });
 * console.log(`${server.url}/v1`);
 */
export function serveEndpoint(
  edge: Edge | readonly Edge[],
  settings: EndpointSettings = {},
): Promise<HttpServer> {
  const { port = 0, host = "127.0.0.1", concurrent = 32, waiting = 256 } = settings;
  const { hosts = [], origins = [], apiKey = null, log = () => {}, failed = tellFault } = settings;
  return serveHttp({
    edge,
    freshSeed,
    concurrent,
    waiting,
    host,
    port,
    // Who listens to an address of the network goes by it.
    guard: { hosts: [host, ...hosts], origins, apiKey },
    software: software(),
    ...{ log, failed },
  });
}
