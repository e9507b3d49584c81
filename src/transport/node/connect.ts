import type { IncomingMessage } from "node:http";
import { rootCertificates } from "node:tls";
import { default as WS } from "ws";
import { z } from "zod";
import { ConnectionError, MOST_MESSAGE_BYTES, type Transport } from "../transport.ts";
import { webSocketTransport } from "../websocket.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Of an answer that refuses a connection. */
const MOST_REFUSAL_BYTES = 4096;

export interface ConnectSettings {
  /** the cloud's key for this edge, sent as a bearer token; default: none */
  readonly key?: string;
  /** certificates of authorities besides the well-known ones, PEM; default: none */
  readonly ca?: string;
}

/**
 * Connects to a cloud.
 * @param url ws:// or wss://
 * @throws ConnectionError `bad_url`; `bad_key`, `origin_not_allowed` or `server_full` where the cloud refuses;
 * `certificate` for one that is not to be trusted; `unreachable`, with what to do about it
 * @example
 * import { connect } from "picospec";
 *
 * const transport = await connect("ws://127.0.0.1:4747");
 * transport.close();
 */
export function connect(url: string, { key, ca }: ConnectSettings = {}): Promise<Transport> {
  const parsed = parseUrl(url);
  if (!parsed) {
    return Promise.reject(
      new ConnectionError("bad_url", `a cloud's address is ws://HOST:PORT or wss://…, not "${url}"`),
    );
  }
  // A fragment means nothing to a server, and the socket refuses it.
  parsed.hash = "";
  return new Promise((resolve, reject) => {
    const socket = new WS(parsed.href, {
      perMessageDeflate: false,
      maxPayload: MOST_MESSAGE_BYTES,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
      ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }),
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
    });
    socket.on("error", (error) => reject(connectError(error, parsed)));
    socket.once("unexpected-response", (_, response: IncomingMessage) => {
      // A server that refuses and then says no more must not be waited for.
      const tooLate = setTimeout(() => socket.terminate(), CONNECT_TIMEOUT_MS);
      void refusalOf(response).then((error) => {
        clearTimeout(tooLate);
        reject(error);
        socket.terminate();
      });
    });
    socket.once("open", () => {
      socket.removeAllListeners("error");
      resolve(webSocketTransport(socket));
    });
  });
}

function parseUrl(url: string): URL | null {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "ws:" || parsed.protocol === "wss:" ? parsed : null;
  } catch {
    return null;
  }
}

const refusalSchema = z.object({
  error: z.object({ code: z.string().max(64), message: z.string().max(1000) }),
});

/** What a server says that refuses a WebSocket: a cloud's own code, or what the status means. */
async function refusalOf(response: IncomingMessage): Promise<ConnectionError> {
  const status = response.statusCode ?? 0;
  const told = refusalSchema.safeParse(parseJson(await beginningOf(response)));
  if (told.success) return new ConnectionError(told.data.error.code, told.data.error.message);
  if (status === 401 || status === 407) {
    return new ConnectionError("bad_key", "the server wants a key: give it with --cloud-key");
  }
  const message = `the server answers with status ${status} and no WebSocket; is it a PicoSpec cloud?`;
  return new ConnectionError("unreachable", message);
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  let text = "";
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      text += chunk.toString("utf8");
      if (text.length > MOST_REFUSAL_BYTES) break;
    }
  } catch {
    // It broke off: the status has to do.
  }
  return text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Node's and OpenSSL's names for certificates that cannot be trusted, and what to do about each. */
const CERTIFICATE_PROBLEMS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired: its operator has to renew it",
  CERT_NOT_YET_VALID: "is not valid yet: is this device's clock right?",
  CERT_REVOKED: "has been revoked",
  ERR_TLS_CERT_ALTNAME_INVALID: "is for another name than this address",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is signed by itself: give it with --cloud-ca",
  SELF_SIGNED_CERT_IN_CHAIN:
    "comes from an authority that is not known here: give its certificate with --cloud-ca",
  UNABLE_TO_GET_ISSUER_CERT:
    "comes from an authority that is not known here: give its certificate with --cloud-ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "comes from an authority that is not known here: give its certificate with --cloud-ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "comes from an authority that is not known here: give its certificate with --cloud-ca",
  CERT_SIGNATURE_FAILURE: "is not from the authority that it names",
};

function connectError(error: NodeJS.ErrnoException, url: URL): ConnectionError {
  const code = error.code ?? "";
  const problem = Object.hasOwn(CERTIFICATE_PROBLEMS, code) ? CERTIFICATE_PROBLEMS[code] : undefined;
  if (problem !== undefined) {
    return new ConnectionError("certificate", `the certificate of ${url.host} ${problem}`, { cause: error });
  }
  if (code === "EPROTO" || code.startsWith("ERR_SSL")) {
    const message = `${url.host} does not speak TLS (${code}): is its address ws:// and not wss://?`;
    return new ConnectionError("unreachable", message, { cause: error });
  }
  const message = `no cloud answers at ${url.href} (${error.message}); start one with: picospec cloud`;
  return new ConnectionError("unreachable", message, { cause: error });
}
