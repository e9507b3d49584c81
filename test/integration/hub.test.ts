import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseHubName } from "../../src/hub/name.ts";
import {
  cachedModel,
  type HubOptions,
  type PullProgress,
  pullModel,
  removeModel,
} from "../../src/hub/pull.ts";
import { HUB_LIMITS } from "../../src/hub/settings.ts";
import { cachedModels, pathsOf, readRecord } from "../../src/hub/store.ts";
import { type Fault, firstOnly, type HubFixture, half, startHub, TestClock } from "../support/hub.ts";

const REPO = "owner/repo";
const FILE = "m-Q4_K_M.gguf";
/** bytes that do not repeat, so that a piece in the wrong place shows */
const content = (label: string, bytes = 200_000) => {
  const blocks = Array.from({ length: Math.ceil(bytes / 32) }, (_, i) =>
    createHash("sha256").update(`${label} ${i}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, bytes);
};
const CONTENT = content("a");
const HALF = 100_000;
const NOT_SKIPPED: readonly number[] = [HUB_LIMITS.answerMs, HUB_LIMITS.stallMs, HUB_LIMITS.beatMs];

let hub: HubFixture;
let cacheFolder: string;
let clock: TestClock;
let ids = 0;

beforeAll(async () => {
  hub = await startHub();
});
afterAll(() => hub.close());
beforeEach(() => {
  cacheFolder = mkdtempSync(join(tmpdir(), "picospec-hub-"));
  clock = new TestClock((ms) => !NOT_SKIPPED.includes(ms));
  hub.files.set(FILE, CONTENT);
});
afterEach(() => {
  rmSync(cacheFolder, { recursive: true, force: true });
  hub.asked.length = 0;
  hub.files.clear();
  hub.hashes.clear();
  hub.pageFiles = 1000;
  hub.onHub = null;
  hub.onStorage = null;
});

const options = (more: Partial<HubOptions> = {}): HubOptions => ({
  ...{ endpoint: hub.endpoint, token: null, cacheFolder, clock },
  freshId: () => `id${ids++}`,
  ...more,
});
const pull = (text = `hf:${REPO}`, more: Partial<HubOptions> = {}) =>
  pullModel(parseHubName(text), options(more));
const paths = (file = FILE) => pathsOf(cacheFolder, REPO, file);
const fromStorage = () => hub.asked.filter(({ server }) => server === "storage");
const ranges = () => fromStorage().map(({ range }) => range ?? null);
const refuse =
  (status: number, headers: Record<string, string> = {}): Fault =>
  (_, response) => {
    response.writeHead(status, headers).end("no");
    return true;
  };
/** Acts once, when the client has so many bytes on its disk. */
const reaching = (bytes: number, act: () => void) => {
  let done = false;
  return ({ doneBytes }: PullProgress) => {
    if (done || doneBytes < bytes) return;
    done = true;
    act();
  };
};
/** The storage breaks the first transfer off in the middle, when the client has what came. */
function breakingOff(): { fault: Fault; progress: (progress: PullProgress) => void } {
  let cut = () => {};
  const fault = firstOnly(half(hub, HALF, (response) => (cut = () => response.destroy())));
  return { fault, progress: reaching(HALF, () => cut()) };
}
/** A download that broke off in the middle, and stayed so. */
async function brokenOff(): Promise<void> {
  const { fault, progress } = breakingOff();
  hub.onStorage = fault;
  const limits = { ...HUB_LIMITS, transferTries: 1 } as unknown as typeof HUB_LIMITS;
  await expect(pull(undefined, { limits, progress })).rejects.toMatchObject({ code: "hub_unreachable" });
  hub.onStorage = null;
  hub.asked.length = 0;
  expect(statSync(paths().part).size).toBe(HALF);
}

describe("a download", () => {
  it("brings the whole file, verified, in one request, and leaves nothing else", async () => {
    const seen: PullProgress[] = [];
    const model = await pull(undefined, { progress: (progress) => seen.push(progress) });
    expect(model).toMatchObject({ file: paths().file, name: `hf:${REPO}:${FILE}`, downloaded: true });
    expect(readFileSync(model.file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([null]);
    expect(readdirSync(join(cacheFolder, REPO)).sort()).toEqual([FILE, `${FILE}.json`]);
    expect(new Set(seen.map(({ phase }) => phase))).toEqual(new Set(["downloading", "verifying"]));
    expect(seen.at(-1)).toMatchObject({ phase: "verifying", doneBytes: 200_000, totalBytes: 200_000 });
    expect(clock.skipped).toEqual([]);
  });

  it("is not made again: no request, also when there is no hub", async () => {
    await pull();
    hub.asked.length = 0;
    const again = await pull(undefined, { endpoint: "http://127.0.0.1:9" });
    expect(again).toMatchObject({ file: paths().file, downloaded: false });
    expect(hub.asked).toEqual([]);
    // The control: a name that is not there needs the hub.
    await expect(pull("hf:owner/other", { endpoint: "http://127.0.0.1:9" })).rejects.toMatchObject({
      code: "hub_unreachable",
    });
  });

  it("of another name for the same file asks for the listing once", async () => {
    await pull();
    hub.asked.length = 0;
    for (let i = 0; i < 2; i++) expect(await pull(`hf:${REPO}:q4_k_m`)).toMatchObject({ downloaded: false });
    expect(hub.asked.map(({ path }) => path)).toEqual([`/api/models/${REPO}/tree/main?recursive=true`]);
  });

  it("falls back on what is there when the hub is out of reach", async () => {
    await pull();
    const away = { endpoint: "http://127.0.0.1:9" };
    expect(await pull(`hf:${REPO}:Q4_K_M`, away)).toMatchObject({ file: paths().file, downloaded: false });
    await expect(pull(`hf:${REPO}:Q8_0`, away)).rejects.toMatchObject({ code: "hub_unreachable" });
  });

  it("reads a listing of many pages, and of no more than it should", async () => {
    hub.files.clear();
    for (let i = 0; i < 30; i++) hub.files.set(`x${i}-Q2_K.gguf`, Buffer.from("x"));
    hub.files.set(FILE, CONTENT);
    hub.pageFiles = 4;
    expect((await pull()).file).toBe(paths().file);
    const pages = hub.asked.filter(({ path }) => path.startsWith("/api"));
    expect(pages).toHaveLength(8);
    const limits = { ...HUB_LIMITS, pages: 7 } as unknown as typeof HUB_LIMITS;
    await expect(pull(`hf:${REPO}:q2_k`, { limits })).rejects.toMatchObject({ code: "hub_answer" });
  });

  it("brings all parts of a split model", async () => {
    hub.files.clear();
    const parts = [1, 2, 3].map((part) => `sub/m-Q4_K_M-0000${part}-of-00003.gguf`);
    for (const part of parts) hub.files.set(part, content(part, 5000));
    const model = await pull();
    expect(model).toMatchObject({ file: paths(parts[0]).file, sizeBytes: 15_000 });
    for (const part of parts) expect(readFileSync(paths(part).file).equals(hub.files.get(part)!)).toBe(true);
    const [cached, ...others] = await cachedModels(cacheFolder);
    expect([cached!.complete, cached!.haveBytes, others]).toEqual([true, 15_000, []]);
    rmSync(paths(parts[1]).file);
    expect((await cachedModels(cacheFolder))[0]!.complete).toBe(false);
    hub.asked.length = 0;
    expect(await pull()).toMatchObject({ downloaded: true });
    expect(fromStorage()).toHaveLength(1);
  });

  it("says when the hub names no hash, and compares the size alone", async () => {
    hub.hashes.set(FILE, null);
    expect((await pull()).sha256).toEqual([null]);
  });

  it("takes the hash from the redirect when the listing has none", async () => {
    const listing = JSON.stringify([{ type: "file", path: FILE, oid: "1", size: CONTENT.length }]);
    hub.onHub = (request, response) => {
      if (!request.url!.startsWith("/api")) return false;
      response.writeHead(200).end(listing);
      return true;
    };
    expect((await pull()).sha256[0]).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("the token", () => {
  it("goes to the hub, and not to the storage that it redirects to", async () => {
    await pull(undefined, { token: "secret" });
    const by = (server: string) => hub.asked.filter((one) => one.server === server);
    expect(by("hub").map(({ authorization }) => authorization)).toEqual(["Bearer secret", "Bearer secret"]);
    expect(by("storage").map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  it("goes on to another path of the hub: the control", async () => {
    hub.onHub = firstOnly((request, response) => {
      response.writeHead(307, { location: `${request.url}&moved=1` }).end();
      return true;
    });
    await pull(undefined, { token: "secret" });
    const hops = hub.asked.slice(0, 2);
    expect(hops.map(({ authorization }) => authorization)).toEqual(["Bearer secret", "Bearer secret"]);
    expect(hops[1]!.path).toMatch(/moved=1$/);
  });

  it("is not needed for what is public", async () => {
    await pull();
    expect(hub.asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined, undefined]);
  });
});

describe("a transfer that breaks off", () => {
  it("goes on where it was, after a second", async () => {
    const { fault, progress } = breakingOff();
    hub.onStorage = fault;
    await pull(undefined, { progress });
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([null, `bytes=${HALF}-`]);
    expect(fromStorage()[1]!.ifRange).toMatch(/^"storage-/);
    expect(clock.skipped).toEqual([1000]);
  });

  it("goes on in another run", async () => {
    await brokenOff();
    expect(await pull()).toMatchObject({ downloaded: true });
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([`bytes=${HALF}-`]);
  });

  it("each time is given up after five tries, later each time", async () => {
    const { fault, progress } = breakingOff();
    hub.onStorage = (request, response) => {
      if (!fault(request, response)) response.destroy();
      return true;
    };
    await expect(pull(undefined, { progress })).rejects.toMatchObject({ code: "hub_unreachable" });
    expect(fromStorage()).toHaveLength(5);
    expect(clock.skipped).toEqual([1000, 2000, 4000, 8000]);
  });

  it("each time a little later is not given up: what comes counts", async () => {
    const limits = { ...HUB_LIMITS, progressBytes: 10_000 } as unknown as typeof HUB_LIMITS;
    let cut = () => {};
    let to = 0;
    hub.onStorage = (request, response) => {
      const from = Number(/bytes=(\d+)/.exec(request.headers.range ?? "")?.[1] ?? 0);
      to = Math.min(from + 20_000, CONTENT.length);
      const range = { "content-range": `bytes ${from}-${CONTENT.length - 1}/${CONTENT.length}` };
      response.writeHead(from > 0 ? 206 : 200, { "content-length": CONTENT.length - from, ...range });
      response.write(CONTENT.subarray(from, to));
      cut = () => response.destroy();
      return true;
    };
    await pull(undefined, { limits, progress: ({ doneBytes }) => doneBytes === to && cut() });
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(new Set(clock.skipped)).toEqual(new Set([1000]));
  });

  it("begins anew when the file has changed at the storage", async () => {
    await brokenOff();
    hub.files.set(FILE, content("b"));
    await pull();
    expect(readFileSync(paths().file).equals(content("b"))).toBe(true);
    expect(ranges()).toEqual([null]);
  });

  it("begins anew when the storage sends the whole: If-Range held the change back", async () => {
    hub.hashes.set(FILE, null);
    await brokenOff();
    hub.files.set(FILE, content("b"));
    await pull();
    expect(readFileSync(paths().file).equals(content("b"))).toBe(true);
    expect(ranges()).toEqual([`bytes=${HALF}-`]);
  });

  it.each([
    ["a range that is not there (416)", 416, { "content-range": "bytes */5" }],
    ["another range than asked for", 206, { "content-range": "bytes 5-199999/200000" }],
    ["a range of a file of another size", 206, { "content-range": `bytes ${HALF}-300000/300001` }],
    ["a range without saying which", 206, {}],
    ["a range of another file", 206, { "content-range": `bytes ${HALF}-199999/200000`, etag: '"other"' }],
  ] as const)("begins anew after %s", async (_, status, headers) => {
    await brokenOff();
    hub.onStorage = firstOnly(refuse(status, headers));
    await pull();
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([`bytes=${HALF}-`, null]);
  });

  it("is not taken for one when it comes without having been asked for", async () => {
    hub.onStorage = firstOnly(refuse(206, { "content-range": "bytes 0-199999/200000" }));
    await pull();
    expect(ranges()).toEqual([null, null]);
  });

  it("is of no use when its own bytes are wrong: it begins anew", async () => {
    await brokenOff();
    writeFileSync(paths().part, Buffer.alloc(HALF));
    await pull();
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([`bytes=${HALF}-`, null]);
  });
});

describe("a hub that is slow", () => {
  it("and goes silent in the middle is left after a minute, and asked for the rest", async () => {
    hub.onStorage = firstOnly(half(hub, HALF, () => {}));
    const progress = reaching(HALF, () => setImmediate(() => clock.advance(HUB_LIMITS.stallMs)));
    await pull(undefined, { progress });
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
    expect(ranges()).toEqual([null, `bytes=${HALF}-`]);
  });

  it("but goes on in time, again and again, is not: the control", async () => {
    const almostMs = HUB_LIMITS.stallMs - 1;
    let go = (_: Buffer, last: boolean) => void last;
    hub.onStorage = firstOnly(
      half(hub, HALF, (response) => {
        go = (more, last) => void (last ? response.end(more) : response.write(more));
      }),
    );
    const steps = [HALF, HALF + 50_000].map((from, i) =>
      reaching(from, () =>
        setImmediate(() => {
          clock.advance(almostMs);
          go(CONTENT.subarray(from, from + 50_000), i === 1);
        }),
      ),
    );
    await pull(undefined, { progress: (progress) => steps.forEach((step) => void step(progress)) });
    expect([ranges(), clock.nowMs()]).toEqual([[null], 2 * almostMs]);
  });

  it("and drips is as good as silent", async () => {
    let drip = () => {};
    hub.onStorage = firstOnly(
      half(hub, HALF, (response) => (drip = () => void response.write(CONTENT.subarray(HALF, HALF + 100)))),
    );
    const steps = [
      reaching(HALF, () =>
        setImmediate(() => {
          clock.advance(HUB_LIMITS.stallMs - 1);
          drip();
        }),
      ),
      reaching(HALF + 100, () => setImmediate(() => clock.advance(1))),
    ];
    await pull(undefined, { progress: (progress) => steps.forEach((step) => void step(progress)) });
    expect(ranges()).toEqual([null, `bytes=${HALF + 100}-`]);
  });

  it("and does not answer at all is given up after three tries of 30 s", async () => {
    hub.onHub = () => {
      setImmediate(() => clock.advance(HUB_LIMITS.answerMs));
      return true;
    };
    await expect(pull()).rejects.toThrow(/cannot be reached \(no answer within 30 s\).*PICOSPEC_HF_ENDPOINT/);
    expect(hub.asked).toHaveLength(3);
  });
});

describe("a hub that lies", () => {
  it("about the bytes is found out by the sha256, and nothing is kept", async () => {
    hub.hashes.set(FILE, "ab".repeat(32));
    await expect(pull()).rejects.toMatchObject({ code: "corrupt" });
    expect([existsSync(paths().file), existsSync(paths().part)]).toEqual([false, false]);
    hub.hashes.clear();
    expect(await pull()).toMatchObject({ downloaded: true });
  });

  it("about the size is found out", async () => {
    hub.onStorage = (_, response) => {
      response.writeHead(200, { "transfer-encoding": "chunked" });
      response.end(Buffer.concat([CONTENT, Buffer.from("more")]));
      return true;
    };
    await expect(pull()).rejects.toMatchObject({ code: "changed" });
    expect(existsSync(paths().file)).toBe(false);
  });

  it("by redirecting in a circle is left", async () => {
    hub.onHub = (request, response) => {
      response.writeHead(302, { location: request.url! }).end();
      return true;
    };
    await expect(pull()).rejects.toThrow(/redirects without end/);
    expect(hub.asked).toHaveLength(HUB_LIMITS.redirects + 1);
  });

  it.each([
    "file:///etc/passwd",
    "http://",
    "javascript:x",
  ])("by redirecting to %s is left", async (location) => {
    hub.onHub = refuse(302, { location });
    await expect(pull()).rejects.toThrow(/redirects to what is no safe address/);
  });

  it("about where a file belongs is refused before anything is written", async () => {
    hub.files.set("../../escaped-Q4_K_M.gguf", CONTENT);
    await expect(pull()).rejects.toThrow(/lists a file that is no path of a model/);
    expect(readdirSync(cacheFolder)).toEqual([]);
  });

  it("by sending no listing is told from a hub", async () => {
    hub.onHub = (_, response) => {
      response.writeHead(200).end("<html>Log in to the hotel's network</html>");
      return true;
    };
    await expect(pull()).rejects.toThrow(/does PICOSPEC_HF_ENDPOINT name a Hugging Face hub\?/);
  });
});

describe("a hub that refuses", () => {
  it.each([
    [401, {}, "no_repository"],
    [401, { "x-error-code": "GatedRepo" }, "gated"],
    [403, { "x-error-code": "GatedRepo" }, "gated"],
    [403, {}, "forbidden"],
    [404, { "x-error-code": "RepoNotFound" }, "no_repository"],
  ])("with %s %j is believed at once (%s)", async (status, headers, code) => {
    hub.onHub = refuse(status, headers);
    await expect(pull()).rejects.toMatchObject({ code });
    expect([hub.asked.length, clock.skipped]).toEqual([1, []]);
  });

  it("with 429 is left alone for as long as it says", async () => {
    hub.onHub = firstOnly(refuse(429, { "retry-after": "77" }));
    expect(await pull()).toMatchObject({ downloaded: true });
    expect(clock.skipped).toEqual([77_000]);
  });

  it("with 429 for an hour, or each time, is given up", async () => {
    hub.onHub = refuse(429, { "retry-after": "3600" });
    await expect(pull()).rejects.toThrow(/no more requests for now \(429\); try again in 3600 s/);
    hub.onHub = refuse(429, { ratelimit: '"api";r=0;t=55' });
    await expect(pull()).rejects.toMatchObject({ code: "rate_limited" });
    expect(clock.skipped).toEqual([55_000, 55_000]);
  });

  it("with 503 once is asked again", async () => {
    hub.onStorage = firstOnly(refuse(503));
    expect(await pull()).toMatchObject({ downloaded: true });
    expect(clock.skipped).toEqual([1000]);
  });
});

describe("this machine's disk", () => {
  it("that has no room is seen before the transfer", async () => {
    const none = pull(undefined, { freeBytes: async () => 1000 });
    await expect(none).rejects.toThrow(/needs 200\.0 KB more, and the disk of .* has 1\.0 KB; make room/);
    expect(fromStorage()).toEqual([]);
    expect(await pull(undefined, { freeBytes: async () => 200_000 })).toMatchObject({ downloaded: true });
  });

  it("that cannot be written is named, with what to do", async () => {
    writeFileSync(join(cacheFolder, "file"), "");
    const inFile = pull(undefined, { cacheFolder: join(cacheFolder, "file", "models") });
    await expect(inFile).rejects.toMatchObject({ code: "cache_unusable" });
    await expect(inFile).rejects.toThrow(/cannot be kept in .*set PICOSPEC_CACHE to a folder/);
  });
});

describe("two downloads of one file at a time", () => {
  it("are one: the second waits, and finds it done", async () => {
    let goOn = () => {};
    hub.onStorage = firstOnly(
      half(hub, HALF, (response) => (goOn = () => response.end(CONTENT.subarray(HALF)))),
    );
    let first: ReturnType<typeof pull> | null = null;
    await new Promise<void>((started) => (first = pull(undefined, { progress: reaching(HALF, started) })));
    const own = new TestClock(() => false);
    let downloaded: boolean | null = null;
    await new Promise<void>((waits) => {
      const progress = ({ phase }: PullProgress) => phase === "waiting" && waits();
      void pull(undefined, { progress, clock: own }).then((model) => ({ downloaded } = model));
    });
    goOn();
    expect(await first).toMatchObject({ downloaded: true });
    await expect
      .poll(() => own.advance(HUB_LIMITS.lockPollMs) ?? downloaded, { timeout: 60_000 })
      .toBe(false);
    expect(fromStorage()).toHaveLength(1);
  });

  it("do not wait for one another when they are of two files: the control", async () => {
    hub.files.set("m-Q8_0.gguf", content("q8"));
    const phases = new Set<string>();
    const progress = ({ phase }: PullProgress) => void phases.add(phase);
    const both = [`hf:${REPO}`, `hf:${REPO}:q8_0`].map((name) => pull(name, { progress }));
    expect((await Promise.all(both)).map(({ downloaded }) => downloaded)).toEqual([true, true]);
    expect([fromStorage().length, phases.has("waiting")]).toEqual([2, false]);
  });
});

describe("the cache", () => {
  it("shows what is whole, and what broke off, and forgets what is removed", async () => {
    await brokenOff();
    hub.files.set("m-Q8_0.gguf", content("q8", 5000));
    await pull(`hf:${REPO}:Q8_0`);
    const shown = (await cachedModels(cacheFolder)).map(({ name, complete, haveBytes }) => [
      name,
      complete,
      haveBytes,
    ]);
    expect(shown).toEqual([
      [`hf:${REPO}:${FILE}`, false, HALF],
      [`hf:${REPO}:m-Q8_0.gguf`, true, 5000],
    ]);
    for (const wish of [FILE, "q8_0"]) {
      await removeModel(await cachedModel(parseHubName(`hf:${REPO}:${wish}`), cacheFolder), options());
    }
    expect(readdirSync(cacheFolder)).toEqual([]);
    await expect(cachedModel(parseHubName(`hf:${REPO}`), cacheFolder)).rejects.toMatchObject({
      code: "not_cached",
    });
  });

  it("takes a file that was cut short for none", async () => {
    await pull();
    writeFileSync(paths().file, CONTENT.subarray(0, HALF));
    expect((await cachedModels(cacheFolder))[0]!.complete).toBe(false);
    expect(await pull()).toMatchObject({ downloaded: true });
    expect(readFileSync(paths().file).equals(CONTENT)).toBe(true);
  });

  it("takes a record that is none, or that was moved, for none", async () => {
    await pull();
    const record = readFileSync(paths().record);
    writeFileSync(join(cacheFolder, "stray.gguf.json"), record);
    expect(await cachedModels(cacheFolder)).toHaveLength(1);
    writeFileSync(paths().record, "{");
    expect([await cachedModels(cacheFolder), await readRecord(paths().record)]).toEqual([[], null]);
  });
});
