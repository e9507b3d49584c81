import type { Clock } from "../util/clock.ts";

/** What is used of a request that is refused before its body is there. */
export interface RefusedRequest {
  readonly complete: boolean;
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  once(event: "end" | "close", listener: () => void): unknown;
  off(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  resume(): unknown;
  pause(): unknown;
}

/** A client that writes more, or more slowly, does not hear why it was refused. */
const DISCARD_LIMITS = {
  bytes: 32 * 1024 * 1024,
  ms: 2000,
  /** a piece costs as much as some KB: an ordinary client's have 16 KB and more */
  pieces: 4096,
} as const;

/**
 * Reads what is left of a request and drops it, within bounds. A client that is still writing when its connection is closed
 * sees a broken pipe, and not the answer that says why.
 */
export function discardRest(request: RefusedRequest, clock: Clock): Promise<void> {
  if (request.complete) return Promise.resolve();
  return new Promise((resolve) => {
    let [bytes, pieces] = [0, 0];
    const end = () => {
      cancel();
      request.off("data", drop);
      request.pause();
      resolve();
    };
    const drop = (chunk: Uint8Array) => {
      bytes += chunk.length;
      pieces++;
      if (bytes > DISCARD_LIMITS.bytes || pieces > DISCARD_LIMITS.pieces) end();
    };
    const cancel = clock.schedule(clock.nowMs() + DISCARD_LIMITS.ms, end);
    request.on("data", drop);
    request.once("end", end);
    request.once("close", end);
    request.resume();
  });
}
