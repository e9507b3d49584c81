import { describe, expect, it } from "vitest";
import { type Log, SILENT_LOG } from "../util/log.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import type { Answers } from "./answers.ts";
import { type Caller, createApp, pathNames } from "./app.ts";
import { HttpError } from "./errors.ts";
import type { Face, Reply } from "./face.ts";
import type { GuardOptions } from "./guard.ts";
import { Status } from "./status.ts";

/** The endpoint without a socket, and without models: its routes, who may ask, and how answers are written. */

const CHAT = "/v1/chat/completions";
const target = { relaxed: [], answeredBy: "target" } as const;
const whole: Reply = { kind: "object", body: { said: "hi" }, begun: target };
async function* named(chunks: AsyncIterable<unknown>, name: string | undefined) {
  for await (const data of chunks) yield name === undefined ? { data } : { name, data };
}
const streamed = (chunks: () => AsyncGenerator<unknown, void, undefined>, name?: string): Reply => ({
  ...{ kind: "events", events: named(chunks(), name), last: name === undefined ? "[DONE]" : null },
  failed: ({ body }) => ({ data: body }),
  begun: { relaxed: [], answeredBy: "edge" },
});

/** Says what was asked of it. */
const other: Face = {
  below: ["/other/"],
  routes: [
    {
      method: "POST",
      path: "/other/:id",
      answer: ({ body, params, ignored }) => {
        ignored(["a", "b".repeat(100)]);
        return { kind: "object", body: { body, ...params } };
      },
    },
    {
      method: "DELETE",
      path: "/other/:id",
      answer: ({ query, header, body, key }) => ({
        kind: "object",
        body: { q: query.get("q"), h: header("x-h"), body: body ?? null, key },
      }),
    },
    { method: "GET", path: "/other/:id", answer: () => ({ kind: "lines", lines: lines() }) },
  ],
  errorBody: ({ message }) => ({ wrong: message }),
};
async function* lines() {
  yield { a: 1 };
  yield { b: "two\nlines" };
  throw new HttpError(503, "away", "the cloud is away");
}

function world(reply: () => Reply = () => whole, guard: Partial<GuardOptions> = {}, log: Log = SILENT_LOG) {
  const failures: string[] = [];
  const clock = new VirtualClock();
  const own: Face = {
    below: ["/v1/"],
    routes: [
      { method: "POST", path: CHAT, answer: async () => reply() },
      { method: "GET", path: "/v1/models", answer: () => ({ kind: "object", body: { data: [] } }) },
      {
        ...{ method: "GET", path: "/v1/models/:name{.+}" },
        answer: ({ params }) => ({ kind: "object", body: { id: params.name } }),
      },
    ],
    errorBody: ({ body }) => body,
  };
  const exposition = async () => ({ type: "text/x", text: "a 1\n" });
  const health = { health: { cloud: "up" } } as unknown as Answers;
  const app = createApp({
    faces: [own, other, new Status({ answers: health, software: "test/1", exposition })],
    guard: { hosts: [], origins: ["http://page"], apiKey: null, ...guard },
    ...{ notReady: () => "no link", log, clock },
  });
  const gone = new AbortController();
  // An object with methods, as a shell has it.
  const caller: Caller & { readonly failures: string[] } = {
    ...{ failures, requestId: "r1", gone: gone.signal, body: async () => ({}) },
    failed({ code }) {
      this.failures.push(code);
    },
  };
  const ask = async (path: string, init: RequestInit = {}) => {
    const headers = { host: "localhost", ...(init.headers as Record<string, string>) };
    return app.fetch(new Request(`http://localhost${path}`, { ...init, headers }), caller);
  };
  return { ask, failures, clock, gone };
}

describe("routes", () => {
  it.each([
    ["GET", "/v1/models", 200, { data: [] }],
    ["GET", "/v1/models///", 200, { data: [] }],
    ["GET", "/v1/models?x=1", 200, { data: [] }],
    ["GET", "/v1/models/org/name%20x", 200, { id: "org/name x" }],
    ["GET", "/v1/models/%zz", 200, { id: "%zz" }],
    ["GET", "/health", 200, { status: "ok", software: "test/1", cloud: "up" }],
    ["POST", CHAT, 200, { said: "hi" }],
  ])("%s %s", async (method, path, status, body) => {
    const response = await world().ask(path, { method });
    expect([response.status, await response.json()]).toEqual([status, body]);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
  });

  it("that take another method say which, and those that are none that they are none", async () => {
    const { ask, failures } = world();
    for (const [path, method, right] of [
      ["/other/1", "PUT", "POST, DELETE, GET"],
      [CHAT, "GET", "POST"],
      [CHAT, "X-TRACE", "POST"],
      ["/v1/models", "DELETE", "GET"],
      ["/healthz", "OPTIONS", "GET"],
    ] as const) {
      const response = await ask(path, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, `${right}, OPTIONS`]);
      const { error, wrong } = (await response.json()) as { error?: { message: string }; wrong?: string };
      const taken = right.replaceAll(", ", " or ");
      expect(error?.message ?? wrong).toBe(`${path} takes ${taken}, not ${method}`);
    }
    expect((await ask("/v1/nothing")).status).toBe(404);
    expect(failures).toEqual([...Array(5).fill("method_not_allowed"), "not_found"]);
  });

  it("of a face get what was asked, and its errors are told in its own way", async () => {
    const { ask, failures } = world(undefined, { apiKey: "k" });
    const headers = { "x-api-key": "k", "x-h": "H" };
    const asked = async (path: string, method: string) =>
      (await ask(path, { method, headers })).json() as Promise<unknown>;
    expect(await asked("/other/a%2Fb", "POST")).toEqual({ body: {}, id: "a/b" });
    expect(await asked("/other/1?q=2", "DELETE")).toEqual({ q: "2", h: "H", body: null, key: "k" });
    expect(await asked("/other/1/2", "GET")).toEqual({
      wrong: "there is nothing at /other/1/2; the APIs are below /v1 and /api",
    });
    expect(await (await ask("/other/1")).json()).toEqual({ wrong: expect.stringContaining("API key") });
    expect(failures).toEqual(["not_found", "invalid_api_key"]);
  });

  it("tell the operator once which fields mean nothing", async () => {
    const told: unknown[] = [];
    const { ask } = world(undefined, {}, { ...SILENT_LOG, warn: (fields) => told.push(fields) });
    for (const id of [1, 2]) await ask(`/other/${id}`, { method: "POST" });
    expect(told).toEqual([{ path: "/other/:id", fields: "a" }]);
  });

  it("have names for logs and metrics, and all that is none has one", () => {
    const name = pathNames([...other.routes, { ...other.routes[0]!, path: "/v1/models/:name{.+}" }]);
    expect(["/other/1", "/other/1/2", "/v1/models/a/b", "/healthz", "/x"].map(name)).toEqual([
      ...["/other/:id", "other", "/v1/models/:name", "/healthz", "other"],
    ]);
  });

  it("for probes need neither a name nor a key", async () => {
    const { ask } = world(undefined, { apiKey: "k" });
    const headers = { host: "elsewhere", origin: "http://evil" };
    expect(await (await ask("/healthz", { headers })).text()).toBe("ok\n");
    const ready = await ask("/readyz", { headers });
    expect([ready.status, await ready.text()]).toEqual([503, "no link\n"]);
    expect(await (await ask("/healthz", { headers, method: "HEAD" })).text()).toBe("");
  });
});

describe("pages", () => {
  const allowed = "access-control-allow-origin";

  it("of an allowed origin read answers and errors, also those for want of a key", async () => {
    const { ask } = world(undefined, { apiKey: "k" });
    const headers = { origin: "http://page" };
    const refused = await ask("/v1/models", { headers });
    expect([refused.status, refused.headers.get(allowed)]).toEqual([401, "http://page"]);
    const answered = await ask("/v1/models", { headers: { ...headers, authorization: "Bearer k" } });
    expect([answered.status, answered.headers.get(allowed)]).toEqual([200, "http://page"]);
    expect(answered.headers.get("vary")).toMatch(/origin/i);
    const asks = { ...headers, "access-control-request-headers": "authorization,x-stainless-lang" };
    const preflight = await ask(CHAT, { method: "OPTIONS", headers: asks });
    expect([preflight.status, preflight.headers.get(allowed)]).toEqual([204, "http://page"]);
    expect(preflight.headers.get("access-control-allow-headers")).toMatch(
      /authorization,\s*x-stainless-lang/,
    );
  });

  it("of an allowed origin may reach into a private network", async () => {
    const { ask } = world();
    const headers = {
      "access-control-request-private-network": "true",
      "access-control-request-method": "POST",
    };
    const granted = async (origin: string, more: Record<string, string> = headers) => {
      const response = await ask(CHAT, { method: "OPTIONS", headers: { ...more, origin } });
      return response.headers.get("access-control-allow-private-network");
    };
    expect(await granted("http://page")).toBe("true");
    expect(await granted("http://page", {})).toBe(null);
    expect(await granted("http://evil")).toBe(null);
  });

  it("of other origins, and by other names, learn nothing", async () => {
    const { ask, failures } = world();
    const headers = [{ origin: "http://evil" }, { host: "evil.example" }];
    for (const method of ["GET", "OPTIONS"]) {
      for (const one of headers) {
        const response = await ask("/v1/models", { method, headers: one as Record<string, string> });
        expect([response.status, response.headers.get(allowed)]).toEqual([403, null]);
        expect([...response.headers.keys()].filter((name) => name.startsWith("access-control-"))).toEqual([]);
      }
    }
    expect(new Set(failures)).toEqual(new Set(["origin_not_allowed", "host_not_allowed"]));
  });
});

describe("answers", () => {
  const post = { method: "POST" };

  it("stream as events, the last of which says that there are no more", async () => {
    const { ask } = world(() =>
      streamed(async function* () {
        yield { a: 1 };
        yield { a: "two\nlines" };
      }),
    );
    const response = await ask(CHAT, post);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    expect(response.headers.get("x-picospec-answered-by")).toBe("edge");
    expect(await response.text()).toBe('data: {"a":1}\n\ndata: {"a":"two\\nlines"}\n\ndata: [DONE]\n\n');
  });

  it("stream as events with names, or as lines, of which an error is the last", async () => {
    const { ask, failures } = world(() =>
      streamed(async function* () {
        yield { a: 1 };
      }, "message.start"),
    );
    expect(await (await ask(CHAT, post)).text()).toBe('event: message.start\ndata: {"a":1}\n\n');
    const response = await ask("/other/1");
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    expect(await response.text()).toBe('{"a":1}\n{"b":"two\\nlines"}\n{"wrong":"the cloud is away"}\n');
    expect(failures).toEqual(["away"]);
  });

  it("that fail before their first event have a status, and later an event in place of the last", async () => {
    const failing = (first: boolean) =>
      world(() =>
        streamed(async function* () {
          if (!first) yield 1;
          throw new HttpError(503, "away", "the cloud is away");
        }),
      );
    const early = failing(true);
    const response = await early.ask(CHAT, post);
    expect([response.status, response.headers.get("retry-after"), early.failures]).toEqual([
      503,
      "5",
      ["away"],
    ]);
    const late = failing(false);
    const text = await (await late.ask(CHAT, post)).text();
    expect(text).toMatch(/^data: 1\n\ndata: \{"error":\{"message":"the cloud is away"/);
    expect(text).not.toMatch(/DONE/);
    expect(late.failures).toEqual(["away"]);
  });

  it("that say nothing for long say that they are still there", async () => {
    let go = () => {};
    const waits = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { ask, clock } = world(() =>
      streamed(async function* () {
        yield 1;
        await waits;
      }),
    );
    const text = (await ask(CHAT, post)).text();
    await new Promise(setImmediate);
    clock.run(15_000);
    await new Promise(setImmediate);
    go();
    expect(await text).toBe("data: 1\n\n: still here\n\ndata: [DONE]\n\n");
  });

  it("whose client has gone are read to their end, so that their places are free", async () => {
    let ended = false;
    const { ask, gone } = world(() =>
      streamed(async function* () {
        try {
          for (let i = 0; i < 100; i++) yield i;
        } finally {
          ended = true;
        }
      }),
    );
    const response = await ask(CHAT, post);
    gone.abort();
    await response.body!.cancel();
    await expect.poll(() => ended).toBe(true);
  });

  it("that do not keep to a schema say so in a header of ASCII", async () => {
    const { ask } = world(() => ({ ...whole, begun: { ...target, relaxed: ["not at #/é", "x"] } }));
    expect((await ask(CHAT, post)).headers.get("x-picospec-relaxed")).toBe("not at #/?, x");
  });

  it("that are a fault of ours cost their request", async () => {
    const { ask, failures } = world(() => {
      throw new TypeError("bug");
    });
    expect([(await ask(CHAT, post)).status, failures]).toEqual([500, ["internal_error"]]);
  });
});
