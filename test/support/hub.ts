import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { CancelTimer, Clock } from "../../src/util/clock.ts";

/**
 * A server that behaves like the Hugging Face hub, as far as downloads see it: listings in pages, and files that
 * are redirected to storage on another port. Loopback only.
 */

export interface Asked {
  readonly server: "hub" | "storage";
  readonly path: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

/** Takes a request over: true when it has been dealt with. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean;

export interface HubFixture {
  readonly endpoint: string;
  /** in order */
  readonly asked: Asked[];
  /** files of every repository */
  readonly files: Map<string, Buffer>;
  /** the sha256 of listings and redirects; absent: the true one; null: none */
  readonly hashes: Map<string, string | null>;
  /** files of a page of a listing */
  pageFiles: number;
  onHub: Fault | null;
  onStorage: Fault | null;
  close(): Promise<void>;
}

export const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");
export const etagOf = (content: Buffer) => `"storage-${sha256(content).slice(0, 8)}"`;

export async function startHub(): Promise<HubFixture> {
  const asked: Asked[] = [];
  const note = (server: Asked["server"], { url, headers }: IncomingMessage) => {
    const { range, authorization } = headers;
    asked.push({
      server,
      path: url!,
      range,
      ifRange: headers["if-range"] as string | undefined,
      authorization,
    });
  };
  const storage = createServer((request, response) => {
    note("storage", request);
    if (!fixture.onStorage?.(request, response)) serve(fixture, request, response);
  });
  const hub = createServer((request, response) => {
    note("hub", request);
    if (!fixture.onHub?.(request, response)) front(fixture, request, response, portOf(storage));
  });
  for (const server of [storage, hub]) await once(server.listen(0, "127.0.0.1"), "listening");
  const fixture: HubFixture = {
    ...{ endpoint: `http://127.0.0.1:${portOf(hub)}`, asked, pageFiles: 1000, onHub: null, onStorage: null },
    ...{ files: new Map<string, Buffer>(), hashes: new Map<string, string | null>() },
    async close() {
      for (const server of [hub, storage]) {
        server.closeAllConnections();
        server.close();
        await once(server, "close");
      }
    },
  };
  return fixture;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function hashOf({ files, hashes }: HubFixture, path: string): string | null {
  const said = hashes.get(path);
  return said === undefined ? sha256(files.get(path)!) : said;
}

function front(
  fixture: HubFixture,
  request: IncomingMessage,
  response: ServerResponse,
  storage: number,
): void {
  const url = new URL(request.url!, fixture.endpoint);
  const [, , path] = /^\/([^/]+\/[^/]+)\/resolve\/main\/(.+)$/.exec(url.pathname) ?? [];
  if (path === undefined) {
    list(fixture, url, response);
    return;
  }
  const name = decodeURIComponent(path);
  if (!fixture.files.has(name)) {
    response.writeHead(404, { "x-error-code": "EntryNotFound" }).end("Entry not found");
    return;
  }
  const hash = hashOf(fixture, name);
  response.writeHead(302, {
    location: `http://127.0.0.1:${storage}/${path}?signature=x`,
    ...(hash === null ? {} : { "x-linked-etag": `"${hash}"` }),
  });
  response.end("Found");
}

function list(fixture: HubFixture, url: URL, response: ServerResponse): void {
  const all = [...fixture.files].map(([path, content]) => {
    const hash = hashOf(fixture, path);
    const lfs = hash === null ? {} : { lfs: { oid: hash, size: content.length, pointerSize: 130 } };
    return { type: "file", oid: "0".repeat(40), size: content.length, path, ...lfs };
  });
  const from = Number(url.searchParams.get("cursor") ?? 0);
  const to = from + fixture.pageFiles;
  url.searchParams.set("cursor", String(to));
  const link = to < all.length ? { link: `<${url.href}>; rel="next"` } : {};
  response.writeHead(200, { "content-type": "application/json", ...link });
  response.end(JSON.stringify([{ type: "directory", oid: "0", size: 0, path: "x" }, ...all.slice(from, to)]));
}

/** A file, or the rest of it: with If-Range only if it has not changed (RFC 9110, 13.1.5). */
export function serve({ files }: HubFixture, request: IncomingMessage, response: ServerResponse): void {
  const content = files.get(decodeURIComponent(new URL(request.url!, "http://x").pathname.slice(1)))!;
  const etag = etagOf(content);
  const [, start] = /^bytes=(\d+)-$/.exec(request.headers.range ?? "") ?? [];
  const condition = request.headers["if-range"];
  if (start === undefined || (condition !== undefined && condition !== etag)) {
    response.writeHead(200, { etag, "content-length": content.length }).end(content);
    return;
  }
  const from = Number(start);
  if (from >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const range = `bytes ${from}-${content.length - 1}/${content.length}`;
  response.writeHead(206, { etag, "content-length": content.length - from, "content-range": range });
  response.end(content.subarray(from));
}

/**
 * Sends so many bytes of what it was asked for, and leaves the rest to `then`. To break off, wait until the client
 * has them: a broken connection takes what has not been read along.
 */
export function half(fixture: HubFixture, bytes: number, then: (response: ServerResponse) => void): Fault {
  return (request, response) => {
    const content = fixture.files.get(
      decodeURIComponent(new URL(request.url!, "http://x").pathname.slice(1)),
    )!;
    response.writeHead(200, { etag: etagOf(content), "content-length": content.length });
    response.write(content.subarray(0, bytes));
    then(response);
    return true;
  };
}

/** The fault for the first request, and then none. */
export function firstOnly(fault: Fault): Fault {
  let done = false;
  return (request, response) => {
    if (done) return false;
    done = true;
    return fault(request, response);
  };
}

/**
 * A clock that a test moves. Waits that `skips` accepts end at once and move it, so that backoffs take no time;
 * others end when the test says so.
 */
export class TestClock implements Clock {
  /** lengths of the waits that were skipped, milliseconds, in order */
  readonly skipped: number[] = [];
  /** waits are skipped without moving it */
  frozen = false;
  private timeMs = 0;
  private readonly timers = new Set<{ atMs: number; callback: () => void }>();
  private readonly skips: (waitMs: number) => boolean;

  constructor(skips: (waitMs: number) => boolean) {
    this.skips = skips;
  }

  nowMs(): number {
    return this.timeMs;
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    const timer = { atMs, callback };
    this.timers.add(timer);
    const waitMs = atMs - this.timeMs;
    if (this.skips(waitMs)) {
      this.skipped.push(waitMs);
      setImmediate(() => {
        if (!this.timers.delete(timer)) return;
        if (!this.frozen) this.timeMs = Math.max(this.timeMs, atMs);
        callback();
      });
    }
    return () => void this.timers.delete(timer);
  }

  advance(ms: number): void {
    this.timeMs += ms;
    for (const timer of [...this.timers].filter(({ atMs }) => atMs <= this.timeMs)) {
      if (this.timers.delete(timer)) timer.callback();
    }
  }
}
