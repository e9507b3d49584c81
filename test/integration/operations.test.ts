import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Exposition, readExposition } from "../support/exposition.ts";
import { BIN, DRAFTER, type Finished, finished, TARGET } from "../support/processes.ts";

/** What an operator sees of both sides, as processes: probes, metrics, logs, traces. */

const MARK = "Quincunx";
const KEY = "k-4d5e6f-secret";
const folder = mkdtempSync(join(tmpdir(), "picospec-operations-"));
const [CLOUD_TRACE, EDGE_TRACE, RUN_TRACE] = ["cloud", "edge", "run"].map((name) =>
  join(folder, `${name}.json`),
);

interface Server {
  readonly child: ChildProcess;
  readonly ended: Promise<Finished>;
  /** of what the pattern found in stdout */
  said(pattern: RegExp): Promise<string>;
  stop(signal?: NodeJS.Signals): Promise<Finished>;
}

function start(args: readonly string[], env: Record<string, string> = {}): Server {
  const child = spawn(process.execPath, [BIN, ...args], { env: { ...process.env, ...env } });
  const ended = finished(child);
  let stdout = "";
  child.stdout.on("data", (chunk) => {
    stdout += chunk;
  });
  return {
    child,
    ended,
    said: (pattern) =>
      new Promise((done, fail) => {
        const look = () => {
          const match = pattern.exec(stdout);
          if (match) done(match[1]!);
        };
        child.stdout.on("data", look);
        look();
        void ended.then(({ stderr }) => fail(new Error(`ended: ${stderr}`)));
      }),
    stop(signal = "SIGTERM") {
      child.kill(signal);
      return ended;
    },
  };
}

const own = ["--port", "0", "--threads", "1", "--gpu", "off"];
const logs = ["--log-level", "debug", "--log-format", "json"];
let cloud: Server;
let edge: Server;
let cloudUrl: string;
let metricsUrl: string;
let endpoint: string;

beforeAll(async () => {
  cloud = start([
    "cloud",
    "--model",
    TARGET,
    ...own,
    ...logs,
    "--metrics-port",
    "0",
    "--trace",
    CLOUD_TRACE!,
  ]);
  metricsUrl = await cloud.said(/metrics on (http:\S+)\n/);
  cloudUrl = await cloud.said(/listening on (ws:\S+)\n/);
  const link = ["--cloud", cloudUrl, "--model", DRAFTER, "--reconnect", "1", "--api-key", KEY];
  edge = start(["edge", ...link, ...own, ...logs, "--trace", EDGE_TRACE!]);
  endpoint = await edge.said(/listening on (http:\S+)\n/);
});
afterAll(async () => {
  await edge?.stop("SIGKILL");
  await cloud?.stop("SIGKILL");
  rmSync(folder, { recursive: true });
});

const root = () => endpoint.replace("/v1", "");
const auth = { authorization: `Bearer ${KEY}` };

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${endpoint}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...auth, ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

async function scrape(url: string): Promise<Exposition> {
  const response = await fetch(url, { headers: auth });
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    expect.stringContaining("text/plain; version=0.0.4"),
  ]);
  return readExposition(await response.text());
}

const both = async () => [await scrape(`${root()}/metrics`), await scrape(metricsUrl)] as const;

interface Chat {
  readonly usage: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly completion_tokens_details: {
      readonly accepted_prediction_tokens: number;
      readonly rejected_prediction_tokens: number;
    };
  };
  readonly timings: { readonly rollbacks: number; readonly rounds: number };
}

describe("metrics of both processes", () => {
  it("are the answers' own statistics, and only grow while answers are made", async () => {
    const [edgeBefore, cloudBefore] = await both();
    const story = (seed: number, policy: string) => ({
      messages: [{ role: "user", content: `Tell me a story about ${MARK} and a lantern.` }],
      ...{ seed, policy, temperature: 1, max_tokens: 60 },
    });
    const policies = ["picospec", "race", "vanilla", "cloud"];
    let running = true;
    const asked = Promise.all(
      policies.map(
        async (policy, seed) => (await (await post("/chat/completions", story(seed, policy))).json()) as Chat,
      ),
    ).finally(() => {
      running = false;
    });
    const seen: (readonly [Exposition, Exposition])[] = [];
    while (running) seen.push(await both());
    const answers = await asked;
    const [edgeAfter, cloudAfter] = await both();
    for (const [i, [onEdge, onCloud]] of seen.entries()) {
      const [edgeLast, cloudLast] = seen[i - 1] ?? [edgeBefore, cloudBefore];
      for (const [now, last] of [
        [onEdge, edgeLast],
        [onCloud, cloudLast],
      ] as const) {
        const counters = [...last.samples].filter(
          ([key]) => last.types.get(key.replace(/\{.*/, "")) === "counter",
        );
        for (const [key, value] of counters)
          expect([key, now.samples.get(key)! >= value]).toEqual([key, true]);
      }
    }
    const grown = (after: Exposition, before: Exposition, key: string) =>
      (after.samples.get(key) ?? Number.NaN) - (before.samples.get(key) ?? 0);
    const onEdge = (key: string) => grown(edgeAfter, edgeBefore, `picospec_${key}`);
    const onCloud = (key: string) => grown(cloudAfter, cloudBefore, `picospec_cloud_${key}`);
    const sum = (of: (chat: Chat) => number) => answers.reduce((total, chat) => total + of(chat), 0);
    const completion = sum(({ usage }) => usage.completion_tokens);
    expect(onEdge("completion_tokens_total")).toBe(completion);
    expect(onEdge("prompt_tokens_total")).toBe(sum(({ usage }) => usage.prompt_tokens));
    const accepted = ["model", "lookup", "grammar"].map((source) =>
      onEdge(`drafts_accepted_total{source="${source}"}`),
    );
    expect(accepted.reduce((a, b) => a + b)).toBe(
      sum(({ usage }) => usage.completion_tokens_details.accepted_prediction_tokens),
    );
    expect(onEdge("drafts_rejected_total")).toBe(
      sum(({ usage }) => usage.completion_tokens_details.rejected_prediction_tokens),
    );
    expect(onEdge("rollbacks_total")).toBe(sum(({ timings }) => timings.rollbacks));
    expect(onEdge("rounds_total")).toBe(sum(({ timings }) => timings.rounds));
    expect(onEdge("time_to_first_token_seconds_count")).toBe(4);
    expect(onEdge("draft_step_seconds_count")).toBeGreaterThan(0);
    expect(edgeAfter.samples.get("picospec_cloud_link_up")).toBe(1);
    expect(edgeAfter.samples.get("picospec_round_trip_seconds")).toBeGreaterThan(0);
    expect(onCloud('committed_tokens_total{principal="anonymous"}')).toBe(completion);
    expect(onCloud('received_bytes_total{type="draft"}')).toBe(onEdge("uplink_bytes_total"));
    expect(onCloud("pass_seconds_count")).toBe(onCloud("passes_total"));
    expect(onCloud("rows_total")).toBeGreaterThanOrEqual(completion / 4);
    for (const policy of policies) {
      const ended = ["end", "length"].map((reason) => `${policy}",reason="${reason}"}`);
      for (const count of [
        (key: string) => grown(edgeAfter, edgeBefore, `picospec_answers_total{policy="${key}`),
        (key: string) => grown(cloudAfter, cloudBefore, `picospec_cloud_sessions_ended_total{policy="${key}`),
      ]) {
        expect(ended.map(count).filter((value) => value === 1)).toHaveLength(1);
      }
    }
    const page = await fetch(`${root()}/metrics`);
    expect(page.status).toBe(401);
  });
});

describe("an answer that goes on", () => {
  it("is in the metrics of both sides before it is over", async () => {
    const counted = async () => {
      const [onEdge, onCloud] = await both();
      return [
        onEdge.samples.get("picospec_answers_active")!,
        onEdge.samples.get("picospec_completion_tokens_total")!,
        onCloud.samples.get("picospec_cloud_sessions_open")!,
        onCloud.samples.get('picospec_cloud_committed_tokens_total{principal="anonymous"}')!,
      ] as const;
    };
    const before = await counted();
    const abort = new AbortController();
    // By its grammar it has no end: only the abort below ends it.
    const body = { prompt: "One two", policy: "cloud", stream: true, max_tokens: 900 };
    const response = await fetch(`${endpoint}/completions`, {
      ...{ method: "POST", headers: { "content-type": "application/json", ...auth }, signal: abort.signal },
      body: JSON.stringify({ ...body, guided_regex: "(a|b|c){4000}" }),
    });
    await response.body!.getReader().read();
    const [active, tokens, open, committed] = await counted();
    abort.abort();
    expect([active, open]).toEqual([1, 1]);
    expect([tokens > before[1], committed > before[3]]).toEqual([true, true]);
    await expect.poll(async () => (await counted())[2]).toBe(0);
  });
});

describe("ids of requests", () => {
  it("are the client's, where they are sane, and fresh otherwise", async () => {
    const idOf = async (given?: string) => {
      const headers = given === undefined ? {} : { "x-request-id": given };
      const response = await fetch(`${endpoint}/models`, { headers: { ...auth, ...headers } });
      await response.arrayBuffer();
      return response.headers.get("x-request-id");
    };
    expect(await idOf("trace-7/a:1")).toBe("trace-7/a:1");
    for (const odd of [undefined, "x".repeat(129), "a b", '"', "a;b"])
      expect(await idOf(odd)).toMatch(/^[0-9a-f]{24}$/);
    expect((await post("/nothing", {}, { "x-request-id": "lost-1" })).headers.get("x-request-id")).toBe(
      "lost-1",
    );
  });
});

describe("a run", () => {
  it("writes a trace that viewers read, its steps within the answer", async () => {
    const args = [
      "--cloud",
      cloudUrl,
      "--model",
      DRAFTER,
      "--threads",
      "1",
      "--gpu",
      "off",
      "--policy",
      "picospec",
    ];
    const run = start([
      "run",
      `A story about ${MARK}.`,
      ...args,
      "--max-tokens",
      "30",
      "--trace",
      RUN_TRACE!,
      "--json",
    ]);
    const { status, stdout } = await run.ended;
    expect(status).toBe(0);
    const { tokens, rollbacks } = JSON.parse(stdout) as { tokens: number; rollbacks: number };
    const { whole, steps, named } = traceOf(RUN_TRACE!);
    expect(whole).toHaveLength(1);
    expect(whole[0]!.args).toMatchObject({ tokens, reason: expect.stringMatching(/end|length/) });
    expect(steps.length).toBeGreaterThan(5);
    expect(named("rollback").length).toBeGreaterThanOrEqual(rollbacks);
    expect(named("received verdict").length).toBeGreaterThan(0);
  });

  it("that is interrupted leaves a whole trace", async () => {
    const path = join(folder, "interrupted.json");
    const args = ["--cloud", cloudUrl, "--model", DRAFTER, "--threads", "1", "--gpu", "off", "--trace", path];
    const run = start([
      "run",
      "A story about a fox.",
      ...args,
      "--max-tokens",
      "900",
      "--temperature",
      "1.2",
    ]);
    await run.said(/(\w)/);
    const { status } = await run.stop("SIGINT");
    // An answer may have ended a moment before.
    expect([0, 130]).toContain(status);
    expect(traceOf(path).whole).toHaveLength(1);
  });
});

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur?: number;
  readonly tid: number;
  readonly args: Readonly<Record<string, unknown>>;
}

/** @throws where something is not within its answer or session */
function traceOf(path: string) {
  const events = JSON.parse(readFileSync(path, "utf8")) as Event[];
  const whole = events.filter(({ ph, args }) => ph === "X" && "promptTokens" in args);
  for (const { tid, ts, dur = 0 } of whole) {
    const inside = events.filter((event) => event.tid === tid && event.ph !== "M");
    for (const event of inside) {
      const within = event.ts >= ts && event.ts + (event.dur ?? 0) <= ts + dur;
      if (!within) throw new Error(`${JSON.stringify(event)} is outside of [${ts}, ${ts + dur}]`);
    }
  }
  const named = (name: string) => events.filter((event) => event.name === name);
  return { events, whole, steps: named("draft"), named };
}

describe("readiness", () => {
  it("of a cloud waits for its model, and is answered meanwhile", async () => {
    // A hub that never answers: the model is being loaded for as long as the test wants.
    const hub = createServer(() => {}).listen(0, "127.0.0.1");
    await new Promise((done) => hub.once("listening", done));
    const env = {
      PICOSPEC_HF_ENDPOINT: `http://127.0.0.1:${(hub.address() as AddressInfo).port}`,
      PICOSPEC_CACHE: join(folder, "cache"),
    };
    const waiting = start(["cloud", "--model", "hf:some/model", ...own, "--metrics-port", "0"], env);
    try {
      const url = (await waiting.said(/metrics on (http:\S+)\n/)).replace("/metrics", "");
      const ready = await fetch(`${url}/readyz`);
      expect([ready.status, await ready.text()]).toEqual([503, "the model is being loaded\n"]);
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      expect((await scrape(`${url}/metrics`)).samples.get("picospec_cloud_sessions_open")).toBe(0);
    } finally {
      await waiting.stop("SIGKILL");
      hub.closeAllConnections();
      hub.close();
    }
    expect((await fetch(metricsUrl.replace("/metrics", "/readyz"))).status).toBe(200);
  });

  it("of an edge follows its cloud, without a key", async () => {
    const other = start(["cloud", "--model", TARGET, ...own]);
    const url = await other.said(/listening on (ws:\S+)\n/);
    const args = ["--cloud", url, "--model", DRAFTER, "--reconnect", "0", "--api-key", KEY];
    const own2 = start(["edge", ...args, ...own]);
    let again: Server | null = null;
    try {
      const at = (await own2.said(/listening on (http:\S+)\n/)).replace("/v1", "");
      const ready = async () => (await fetch(`${at}/readyz`)).status;
      expect(await ready()).toBe(200);
      await other.stop();
      await expect.poll(ready).toBe(503);
      expect((await fetch(`${at}/healthz`)).status).toBe(200);
      again = start(["cloud", "--model", TARGET, ...own, "--port", new URL(url).port]);
      await again.said(/listening on (ws:\S+)\n/);
      // No one asks for an answer: probes alone bring the link back.
      await expect.poll(ready, { timeout: 60_000, interval: 500 }).toBe(200);
    } finally {
      await own2.stop();
      await other.stop();
      await again?.stop();
    }
  });
});

/** Last: it ends both processes, whose whole logs it reads. */
describe("secrecy", () => {
  it("logs and traces have no text, no key and no header at any level, and what would leak does quote them", async () => {
    const chat = (more: object) => ({ messages: [{ role: "user", content: MARK }], max_tokens: 4, ...more });
    const bad: (readonly [string, unknown])[] = [
      ["/chat/completions", `${MARK} is no JSON`],
      ["/chat/completions", chat({ temperature: MARK })],
      ["/chat/completions", chat({ policy: MARK })],
      ["/chat/completions", chat({ tool_choice: { type: "function", function: { name: MARK } } })],
      [
        "/chat/completions",
        chat({
          response_format: {
            type: "json_schema",
            json_schema: { name: "x", schema: { properties: { [MARK]: { type: MARK } } } },
          },
        }),
      ],
      [
        "/chat/completions",
        chat({
          response_format: {
            type: "json_schema",
            json_schema: {
              name: "x",
              strict: false,
              schema: { properties: { [MARK]: { contentEncoding: "x", uniqueItems: true } } },
            },
          },
        }),
      ],
      ["/chat/completions", chat({ guided_grammar: `root ::= ${MARK}` })],
      ["/chat/completions", chat({ guided_regex: `(${MARK}` })],
      ["/completions", { prompt: MARK.repeat(4000), max_tokens: 4 }],
      ["/completions", { prompt: MARK, stop: [MARK], max_tokens: 4, logprobs: 2 }],
      [`/${MARK}`, {}],
    ];
    const said: string[] = [];
    for (const [path, body] of bad) said.push(await (await post(path, body)).text());
    const wrongKey = await fetch(`${endpoint}/models`, {
      headers: { authorization: `Bearer ${KEY}x${MARK}` },
    });
    expect(wrongKey.status).toBe(401);
    const named = await fetch(`${endpoint}/models/${MARK}`, { headers: auth });
    said.push(await named.text());
    await (await post("/chat/completions", chat({}), { "x-request-id": "marked-1" })).text();
    const onEdge = await edge.stop("SIGINT");
    const onCloud = await cloud.stop();
    expect([onEdge.status, onCloud.status]).toEqual([130, 0]);
    // Control: messages of errors quote what was asked, so that a log with them would have it.
    expect(said.filter((text) => text.includes(MARK)).length).toBeGreaterThan(4);
    const told = {
      edge: onEdge.stderr + onEdge.stdout,
      cloud: onCloud.stderr + onCloud.stdout,
      traces: [CLOUD_TRACE!, EDGE_TRACE!].map((path) => readFileSync(path, "utf8")).join(""),
    };
    for (const text of Object.values(told)) {
      expect(text.length).toBeGreaterThan(1000);
      expect(text).not.toContain(MARK);
      expect(text).not.toContain(KEY.slice(0, 8));
      expect(text).not.toMatch(/authorization|bearer/i);
      // Token ids would be a list.
      expect(text).not.toMatch(/\[\s*\d+\s*,\s*\d+/);
    }
    checkLines(onEdge.stderr, onCloud.stderr);
    for (const path of [CLOUD_TRACE!, EDGE_TRACE!]) expect(traceOf(path).whole.length).toBeGreaterThan(4);
  });
});

/** Both sides' lines of one answer, found by the id of its request, and what they share. */
function checkLines(edgeText: string, cloudText: string): void {
  type Line = Readonly<Record<string, unknown>> & { readonly msg: string };
  const lines = (text: string) =>
    text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Line);
  const [onEdge, onCloud] = [lines(edgeText), lines(cloudText)];
  const answer = onEdge.find(({ msg, request }) => msg === "answer ended" && request === "marked-1")!;
  expect(onEdge).toContainEqual(
    expect.objectContaining({ msg: "request", request: "marked-1", status: 200 }),
  );
  const session = onCloud.filter(({ msg, trace }) => msg === "session ended" && trace === answer.trace);
  expect(session).toEqual([
    expect.objectContaining({
      ...{ level: 30, session: answer.session, policy: answer.policy, promptTokens: answer.promptTokens },
      ...{ committedTokens: answer.tokens, reason: answer.reason, principal: expect.any(String) },
      ...{ passes: expect.any(Number), rows: expect.any(Number), reusedTokens: expect.any(Number) },
    }),
  ]);
  expect(onEdge.filter(({ msg }) => msg === "request failed").length).toBeGreaterThan(8);
}
