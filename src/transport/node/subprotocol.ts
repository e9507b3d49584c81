/**
 * A browser sets no headers on a WebSocket, so that it brings its key as a subprotocol beside the one that is meant:
 * `new WebSocket(url, ["picospec", "picospec-key.KEY"])`. The cloud answers with the first, and never repeats a key.
 */

export const SUBPROTOCOL = "picospec";
const KEY_PREFIX = "picospec-key.";

/** @param header `Sec-WebSocket-Protocol` */
export function keyOfProtocols(header: string | undefined): string | null {
  const offered = (header ?? "").split(",").map((name) => name.trim());
  const name = offered.find((one) => one.startsWith(KEY_PREFIX));
  return name === undefined ? null : name.slice(KEY_PREFIX.length);
}
