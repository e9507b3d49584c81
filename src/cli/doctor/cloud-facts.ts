import { connect as connectTcp } from "node:net";
import { software } from "../../device/node.ts";
import { connectEdge } from "../../edge/connect.ts";
import type { RemoteOpener } from "../../edge/opener.ts";
import { systemClock } from "../../transport/node/clock.ts";
import { type ConnectSettings, connect } from "../../transport/node/connect.ts";
import { ConnectionError } from "../../transport/transport.ts";
import { messageOf } from "../../util/errors.ts";
import type { Reach } from "./cloud.ts";

/** What a cloud and the way to it say of themselves. */

const TCP_TIMEOUT_MS = 5000;

/** @param address a URL of ws: or wss: */
export async function reachOf(address: string, credentials: ConnectSettings): Promise<Reach> {
  const tcp = await tcpTime(new URL(address));
  if (typeof tcp !== "number") return { stage: "tcp", ...tcp };
  try {
    (await connect(address, credentials)).close();
    return { stage: "open", tcpMs: tcp };
  } catch (error) {
    // A cloud that refuses says what to do; where none answers the cause says more.
    if (error instanceof ConnectionError && error.code !== "unreachable") {
      return { stage: "refused", message: messageOf(error) };
    }
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    return { stage: "websocket", message: messageOf(cause) };
  }
}

/** How long a connection takes, ms, or why there is none. */
function tcpTime(url: URL): Promise<number | { code: string; message: string }> {
  const port = Number(url.port) || (url.protocol === "wss:" ? 443 : 80);
  const host = url.hostname.replaceAll(/[[\]]/g, "");
  const startMs = performance.now();
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port, timeout: TCP_TIMEOUT_MS });
    const end = (result: number | { code: string; message: string }) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(performance.now() - startMs));
    socket.once("timeout", () => {
      end({ code: "ETIMEDOUT", message: `${url.host} does not answer within ${TCP_TIMEOUT_MS / 1000} s` });
    });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // Where several addresses were tried there is no message, but a code.
      const code = error.code ?? "other";
      end({ code, message: error.message || `${code} ${url.host}` });
    });
  });
}

/** A link of an edge that asks for nothing. @throws ConnectionError, CloudError */
export async function greet(address: string, credentials: ConnectSettings): Promise<RemoteOpener> {
  return connectEdge({
    transport: await connect(address, credentials),
    tokenizer: { fingerprint: "" },
    drafter: null,
    clock: systemClock,
    client: software(),
  });
}
