import { Agent, request } from "node:http";
import { parseArgs } from "node:util";
import { serveHttp } from "../../src/api/server.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { Edge } from "../../src/edge/edge.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { decode } from "../../src/protocol/decode.ts";
import { encode } from "../../src/protocol/encode.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/settings.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import type { Transport } from "../../src/transport/transport.ts";

/** `npm run fuzz:peers`: frames and HTTP bodies that are right, nearly right, and noise. */

const USAGE = `npm run fuzz:peers -- [options]
  --frames N    to a cloud (1000000)
  --bodies N    to an endpoint (100000)
  --seed S      (1)`;

/** Numbers from 0 up to below 1, and whole ones below n. */
class Chance {
  private readonly seed: ReturnType<typeof toSeed>;
  private drawn = 0;

  constructor(seed: number) {
    this.seed = toSeed(seed);
  }

  next(): number {
    const at = this.drawn++;
    return uniform(this.seed, Purpose.draft, at & 0xfffff, at >>> 20, 0);
  }

  below(n: number): number {
    return Math.floor(this.next() * n);
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

export interface FuzzReport {
  readonly counts: ReadonlyMap<string, number>;
  /** of the heap, after a collection where there is one */
  readonly heapMb: { readonly before: number; readonly after: number };
  readonly ms: number;
}

const language = {
  seed: toSeed(4),
  vocabularySize: 26,
  order: 3,
  spread: 5,
  divergence: 3,
  contextTokens: 120,
};
const tokenizer: Tokenizer = {
  fingerprint: "letters",
  vocabularySize: 26,
  beginText: "",
  endText: "",
  addsBegin: false,
  longestTokenBytes: 1,
  encode: (text) => Int32Array.from(text.replace(/[^a-z]/g, "a"), (letter) => letter.charCodeAt(0) - 97),
  piece: (token) => Uint8Array.of(97 + token),
};
const description = { name: "toy", fingerprint: "letters", endTokens: [], chatTemplate: null };

function toyCloud(): Cloud {
  const model = new ToyPassEngine(language, systemClock, { kvSlots: 4 });
  return new Cloud({
    model,
    description,
    clock: systemClock,
    server: "fuzz",
    tokenizer: new Uint8Array(999),
  });
}

/** Frames that are right, most of them: an edge's, and a cloud's as well. */
function rightFrames(): Uint8Array[] {
  const settings = {
    policy: POLICIES.picospec,
    sampler: samplerSettings({}),
    seed: toSeed(1),
    maxTokens: 20,
  };
  const tokens = Int32Array.of(1, 2, 3);
  const sparse = { kind: "sparse", values: Float32Array.of(0.5, 0.25) } as const;
  const frames: Frame[] = [
    { type: "open", session: 1, tokens, settings, secret: null, resume: null },
    {
      type: "open",
      session: 2,
      tokens,
      settings: { ...settings, policy: POLICIES.race },
      secret: "0123456789abcdef",
      resume: { promptTokens: 2, lineage: 1, epoch: 1 },
    },
    {
      type: "open",
      session: 3,
      tokens,
      settings: { ...settings, sampler: samplerSettings({ logitBias: [[1, 2]] }) },
      secret: null,
      resume: null,
    },
    {
      type: "draft",
      session: 1,
      lineage: 0,
      first: 3,
      committedThrough: 3,
      final: false,
      tokens: Int32Array.of(4, 5),
      q: sparse,
    },
    {
      type: "draft",
      session: 2,
      lineage: 1,
      first: 3,
      committedThrough: 3,
      final: true,
      tokens: Int32Array.of(4),
      q: { kind: "none" },
    },
    { type: "witnessRequest", session: 1, lineage: 0, position: 3, from: 0, count: 4 },
    { type: "cancel", session: 1 },
    { type: "ping", sentAtMs: 1, paddingBytes: 9, echo: true },
    { type: "tokenizerRequest" },
    { type: "vocabularyRequest", part: "file", chunk: 0 },
    { type: "hello", protocol: 1, client: "fuzz", fingerprint: "" },
    { type: "error", session: 1, code: "x", message: "y" },
  ];
  return frames.map((frame) => new Uint8Array(encode(frame)));
}

const HELLO = encode({
  type: "hello",
  protocol: 1,
  client: "fuzz",
  fingerprint: "",
  features: ["grammar-kinds", "vocabulary"],
});

/** One that is right, or one with some bytes or its length changed, or noise. */
function fuzzed(chance: Chance, right: readonly Uint8Array[]): Uint8Array {
  const kind = chance.next();
  if (kind < 0.05) return Uint8Array.from({ length: chance.below(64) }, () => chance.below(256));
  const bytes = chance.of(right).slice();
  if (kind < 0.6) return bytes;
  if (kind < 0.68) return bytes.subarray(0, chance.below(bytes.length));
  if (kind < 0.76) return Uint8Array.of(...bytes, ...bytes.subarray(0, chance.below(bytes.length)));
  for (let i = 1 + chance.below(4); i > 0; i--) bytes[chance.below(bytes.length)] = chance.below(256);
  return bytes;
}

/** Frames to one cloud, over connections that are made anew when they are closed. */
export async function fuzzFrames(count: number, seed: number): Promise<FuzzReport> {
  const [chance, counts, right] = [new Chance(seed), new Map<string, number>(), rightFrames()];
  const add = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  const cloud = toyCloud();
  let isOpen = false;
  const connected = (): Transport => {
    const [near, far] = memoryPair(systemClock);
    cloud.accept(far);
    isOpen = true;
    near.start({
      message(bytes) {
        const frame = decode(bytes);
        add(frame.type === "error" ? `error ${frame.code}` : `answer ${frame.type}`);
      },
      closed: () => {
        isOpen = false;
      },
    });
    if (chance.next() < 0.95) near.send(HELLO);
    add("connections");
    return near;
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  const [before, started] = [heapMb(), performance.now()];
  let transport = connected();
  for (let sent = 0; sent < count; sent++) {
    transport.send(fuzzed(chance, right));
    if (chance.next() < 0.5) await turn();
    if (!isOpen || chance.next() < 0.001) {
      transport.close();
      transport = connected();
    }
    if (sent % 10_000 === 0) cloud.checkIntegrity();
  }
  transport.close();
  while (cloud.connections > 0 || cloud.sessions().length > 0) await turn();
  cloud.checkIntegrity(true);
  cloud.close();
  return { counts, heapMb: { before, after: heapMb() }, ms: performance.now() - started };
}

const BODIES: readonly unknown[] = [
  { messages: [{ role: "user", content: "hello" }], max_tokens: 2, temperature: 0.5, seed: 3 },
  {
    messages: [
      { role: "system", content: [{ type: "text", text: "a" }] },
      { role: "user", content: "b" },
    ],
    stream: true,
    max_tokens: 1,
  },
  {
    messages: [
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      { role: "tool", content: "x", tool_call_id: "1" },
    ],
    max_tokens: 1,
    n: 2,
  },
  {
    messages: [{ role: "user", content: "x" }],
    tools: [{ type: "function", function: { name: "f", parameters: { type: "object" } } }],
    tool_choice: "auto",
  },
  { prompt: "hello", max_tokens: 2, logprobs: 2, stop: ["x", "yy"], logit_bias: { 3: 1 } },
  { prompt: [1, 2, 3], max_tokens: 1, top_p: 0.5, presence_penalty: 1 },
  { prompt: ["a", "b"], max_tokens: 1, stream: true, stream_options: { include_usage: true } },
  { prompt: [[1], [2, 3]], max_tokens: 1, response_format: { type: "json_object" } },
  { prompt: "x", guided_choice: ["a", "b"], policy: "race" },
];

const WORDS = [
  '"x"',
  "1",
  "-1",
  "1e999",
  "null",
  "true",
  "{}",
  "[]",
  "[[]]",
  '{"a":1}',
  '""',
  "0.5",
  '"\\ud800"',
  "9007199254740993",
];

/** A body with a value, a character or an end changed. */
function fuzzedBody(chance: Chance): string {
  const text = JSON.stringify(chance.of(BODIES));
  const kind = chance.next();
  if (kind < 0.3) return text;
  if (kind < 0.38) return text.slice(0, chance.below(text.length));
  if (kind < 0.5) {
    const at = chance.below(text.length);
    return text.slice(0, at) + String.fromCharCode(chance.below(300)) + text.slice(at + chance.below(3));
  }
  if (kind < 0.53) return text.replace(/"/, `"${"[".repeat(chance.below(500))}`);
  const values = [...text.matchAll(/(?<=[:[,])("(?:[^"\\]|\\.)*"(?!:)|-?[\d.]+|null|true|false|\{\}|\[\])/g)];
  const value = chance.of(values);
  return text.slice(0, value.index) + chance.of(WORDS) + text.slice(value.index + value[0].length);
}

/** Bodies to one endpoint, several at a time. */
export async function fuzzBodies(count: number, seed: number): Promise<FuzzReport> {
  const [chance, counts] = [new Chance(seed), new Map<string, number>()];
  const cloud = toyCloud();
  const [near, far] = memoryPair(systemClock);
  cloud.accept(far);
  const remote = await connectEdge({
    transport: near,
    tokenizer,
    drafter: null,
    clock: systemClock,
    client: "fuzz",
  });
  const edge = new Edge({
    ...{ remote, local: null, tokenizer, chatTemplate: null },
    ...{ freshSeed: () => toSeed(1), policy: POLICIES.cloud },
  });
  const guard = { hosts: [], origins: [], apiKey: null };
  const server = await serveHttp({
    ...{ edge, freshSeed: () => toSeed(1), concurrent: 16, waiting: 64 },
    ...{ host: "127.0.0.1", port: 0, guard, software: "fuzz", clock: systemClock, notReady: () => null },
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const [before, started] = [heapMb(), performance.now()];
  let left = count;
  const one = async () => {
    while (left-- > 0) {
      const path = chance.next() < 0.5 ? "/v1/chat/completions" : "/v1/completions";
      const outcome = await post(server.port, agent, path, fuzzedBody(chance));
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, one));
  const after = heapMb();
  const ms = performance.now() - started;
  agent.destroy();
  await server.close();
  await edge.close();
  edge.checkIntegrity(true);
  cloud.close();
  return { counts, heapMb: { before, after }, ms };
}

/** @returns the status, and what an error's code is */
function post(port: number, agent: Agent, path: string, body: string): Promise<string> {
  return new Promise((resolve) => {
    const sent = request({ port, host: "127.0.0.1", path, method: "POST", agent }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () =>
        resolve(`${response.statusCode} ${/"code":"(\w+)"/.exec(text)?.[1] ?? "answer"}`),
      );
      response.on("error", (error) => resolve(`broken ${error.message}`));
    });
    sent.on("error", (error) => resolve(`broken ${error.message}`));
    sent.end(body);
  });
}

function heapMb(): number {
  (globalThis as { gc?: () => void }).gc?.();
  return process.memoryUsage().heapUsed / 1024 / 1024;
}

/** @returns the exit code */
export async function fuzzPeers(args: readonly string[]): Promise<number> {
  const text = { type: "string" } as const;
  const options = { frames: text, bodies: text, seed: text, help: { type: "boolean" } } as const;
  const { values } = parseArgs({ args: [...args], options });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const { frames = "1000000", bodies = "100000", seed = "1" } = values;
  print(`${frames} frames`, await fuzzFrames(Number(frames), Number(seed)));
  print(`${bodies} bodies`, await fuzzBodies(Number(bodies), Number(seed)));
  return 0;
}

function print(what: string, { counts, heapMb, ms }: FuzzReport): void {
  console.log(
    `${what} in ${(ms / 1000).toFixed(0)} s; heap ${heapMb.before.toFixed(1)} MB before, ${heapMb.after.toFixed(1)} MB after`,
  );
  for (const [name, count] of [...counts].sort())
    console.log(`  ${name.padEnd(34)}${String(count).padStart(9)}`);
}
