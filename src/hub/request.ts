import type { Clock } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { HubError, RETRY } from "./errors.ts";
import type { HubLimits, HubSettings } from "./settings.ts";
import { statusError } from "./status.ts";
import { watchdog } from "./waiting.ts";

/** What requests to a hub need. */
export interface Wire extends HubSettings {
  readonly clock: Clock;
  readonly limits: HubLimits;
}

export interface Answer {
  readonly response: Response;
  /** sha256 of a large file, which the hub says where it redirects to the file's storage; null: it did not say */
  readonly linkedSha256: string | null;
  /** ends the transfer */
  abort(): void;
}

/**
 * Follows redirects by hand, for the token's sake: it goes to the endpoint alone, and a file's storage is another
 * host.
 * @param repository named in errors
 * @returns an answer with a status of 200, 206 or 416, its body not read yet
 * @throws HubError
 */
export async function request(
  wire: Wire,
  repository: string,
  address: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const home = new URL(wire.endpoint).origin;
  let url = new URL(address);
  let linkedSha256: string | null = null;
  for (let hops = 0; hops <= wire.limits.redirects; hops++) {
    const authorization = wire.token !== null && url.origin === home ? `Bearer ${wire.token}` : null;
    const sent = authorization === null ? { ...headers } : { ...headers, authorization };
    const { response, abort } = await answerOf(wire, url, sent);
    linkedSha256 ??= sha256In(response.headers.get("x-linked-etag"));
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) {
      if ([200, 206, 416].includes(response.status)) return { response, linkedSha256, abort };
      await response.body?.cancel();
      throw statusError(response, { repository, endpoint: wire.endpoint, hasToken: wire.token !== null });
    }
    await response.body?.cancel();
    url = redirected(location, url);
  }
  throw new HubError("hub_answer", `${wire.endpoint} redirects without end; try again later`);
}

function redirected(location: string, from: URL): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : null;
  const secure = url?.protocol === "https:" || (url?.protocol === "http:" && from.protocol === "http:");
  if (!url || !secure) {
    throw new HubError(
      "hub_answer",
      `${from.origin} redirects to what is no safe address; it is not followed`,
    );
  }
  return url;
}

async function answerOf(
  { clock, limits }: Wire,
  url: URL,
  headers: Record<string, string>,
): Promise<{ response: Response; abort(): void }> {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const timer = watchdog(clock, limits.answerMs, abort);
  try {
    // Compression would make ranges and sizes mean something else.
    const sent = { "user-agent": "picospec", "accept-encoding": "identity", ...headers };
    const response = await fetch(url.href, { headers: sent, redirect: "manual", signal: controller.signal });
    return { response, abort };
  } catch (cause) {
    const reason = controller.signal.aborted
      ? `no answer within ${limits.answerMs / 1000} s`
      : messageOf((cause as Error).cause ?? cause);
    const message = `${url.origin} cannot be reached (${reason}); look at the network, or name a mirror in PICOSPEC_HF_ENDPOINT`;
    throw new HubError("hub_unreachable", message, { cause, retry: RETRY });
  } finally {
    timer.stop();
  }
}

/**
 * Hands over a body piece by piece.
 * @throws HubError, worth another try, when it breaks off or stalls
 */
export async function readBody(
  { clock, limits }: Wire,
  { response, abort }: Answer,
  take: (chunk: Uint8Array) => Promise<void> | void,
): Promise<void> {
  let stalled = false;
  const timer = watchdog(clock, limits.stallMs, () => {
    stalled = true;
    abort();
  });
  let unfedBytes = 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await read(reader, () => stalled, limits);
      if (next === null) return;
      // A server that drips is as good as one that is silent.
      unfedBytes += next.length;
      if (unfedBytes >= limits.stallBytes) {
        unfedBytes = 0;
        timer.feed();
      }
      await take(next);
    }
  } catch (error) {
    abort();
    throw error;
  } finally {
    timer.stop();
  }
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
  stalled: () => boolean,
  limits: HubLimits,
): Promise<Uint8Array | null> {
  try {
    const { done, value } = (await reader?.read()) ?? { done: true };
    return done || value === undefined ? null : value;
  } catch (cause) {
    const why = stalled() ? `nearly nothing came in ${limits.stallMs / 1000} s` : messageOf(cause);
    const message = `the transfer broke off (${why}); run the command again to go on where it was`;
    throw new HubError("hub_unreachable", message, { cause, retry: RETRY });
  }
}

/** A whole body as text, within the bound for answers. @throws HubError */
export async function readText(wire: Wire, answer: Answer): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  await readBody(wire, answer, (chunk) => {
    bytes += chunk.length;
    if (bytes > wire.limits.answerBytes) {
      throw new HubError("hub_answer", `${wire.endpoint} sends a listing that is too long`);
    }
    chunks.push(chunk);
  });
  return Buffer.concat(chunks).toString("utf8");
}

/** An ETag that is a sha256, as the hub's are for large files. */
export function sha256In(etag: string | null): string | null {
  return /^(?:W\/)?"?([0-9a-f]{64})"?$/i.exec(etag ?? "")?.[1]?.toLowerCase() ?? null;
}
