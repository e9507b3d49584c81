import { describe, expect, it } from "vitest";
import { SILENT_LOG } from "../util/log.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import type { Answers } from "./answers.ts";
import { type Caller, createApp } from "./app.ts";
import { HttpError } from "./errors.ts";
import type { GuardOptions } from "./guard.ts";
import type { OpenAi, Reply } from "./openai/endpoint.ts";

/** The endpoint without a socket, and without models: its routes, who may ask, and how answers are written. */

const CHAT = "/v1/chat/completions";
const whole: Reply = { kind: "object", body: { said: "hi" }, relaxed: [], answeredBy: "target" };
const streamed = (chunks: () => AsyncGenerator<unknown, void, undefined>): Reply => ({
  ...{ kind: "stream", chunks: chunks(), relaxed: [], answeredBy: "edge" },
});

function world(reply: () => Reply = () => whole, guard: Partial<GuardOptions> = {}) {
  const failures: string[] = [];
  const clock = new VirtualClock();
  const openai: Pick<OpenAi, "chat" | "models" | "modelNamed"> = {
    chat: async () => reply(),
    models: () => ({ data: [] }),
    modelNamed: (name) => ({ id: name }),
  };
  const app = createApp({
    answers: { health: { cloud: "up" } } as unknown as Answers,
    openai: openai as OpenAi,
    guard: { hosts: [], origins: ["http://page"], apiKey: null, ...guard },
    software: "test/1",
    notReady: () => "no link",
    exposition: async () => ({ type: "text/x", text: "a 1\n" }),
    ...{ log: SILENT_LOG, clock },
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
      [CHAT, "GET", "POST"],
      [CHAT, "X-TRACE", "POST"],
      ["/v1/models", "DELETE", "GET"],
      ["/healthz", "OPTIONS", "GET"],
    ] as const) {
      const response = await ask(path, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, `${right}, OPTIONS`]);
      const { error } = (await response.json()) as { error: { message: string } };
      expect(error.message).toBe(`${path} takes ${right}, not ${method}`);
    }
    expect((await ask("/v1/nothing")).status).toBe(404);
    expect(failures).toEqual([...Array(4).fill("method_not_allowed"), "not_found"]);
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
    const preflight = await ask(CHAT, { method: "OPTIONS", headers });
    expect([preflight.status, preflight.headers.get(allowed)]).toEqual([204, "http://page"]);
    expect(preflight.headers.get("access-control-allow-headers")).toMatch(/authorization/);
  });

  it("of other origins, and by other names, learn nothing", async () => {
    const { ask, failures } = world();
    const headers = [{ origin: "http://evil" }, { host: "evil.example" }];
    for (const method of ["GET", "OPTIONS"]) {
      for (const one of headers) {
        const response = await ask("/v1/models", { method, headers: one as Record<string, string> });
        expect([response.status, response.headers.get(allowed)]).toEqual([403, null]);
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
    const { ask } = world(() => ({ ...whole, relaxed: ["not at #/é", "x"] }));
    expect((await ask(CHAT, post)).headers.get("x-picospec-relaxed")).toBe("not at #/?, x");
  });

  it("that are a fault of ours cost their request", async () => {
    const { ask, failures } = world(() => {
      throw new TypeError("bug");
    });
    expect([(await ask(CHAT, post)).status, failures]).toEqual([500, ["internal_error"]]);
  });
});
