import { randomBytes } from "node:crypto";
import { once, setMaxListeners } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { setInterval } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { authFrame, beginFrame, offerFrame } from "../../src/engine/vllm/mailbox-frames.ts";
import { PrefixHash } from "../../src/engine/vllm/prefix-hash.ts";
import { connectRaw, MailboxClient, type MailboxStatistics, room } from "../support/mailbox-client.ts";
import { complete, prompts, type RealVllm, SECRET, startTogether, startVllm } from "../support/real-vllm.ts";
import { ask, engineBefore, following, together, VOCABULARY } from "../support/vllm-runs.ts";

/**
 * The mailbox of a real vLLM under attack while answers are asked, by strangers and by gateways that know the secret. The
 * control is the plugin without its bounds.
 */

/** The short form leaves the crowd to the attack beside answers: the bounds slow it down for minutes. */
const FULL = Boolean(process.env.PICOSPEC_TEST_FULL);
const OFFERS = 100_000;
/** While answers are made, which take their time too. */
const OFFERS_BESIDE_ANSWERS = FULL ? OFFERS : 20_000;
const OFFER_TOKENS = 64;
/** Of the engine's process, while it is attacked. The bounds of the plugin allow for 20 MB of offers. */
const MOST_GROWTH_BYTES = 40e6;
const MOST_GROWTH_WITH_ANSWERS_BYTES = 250e6;
const TOKENS = 40;
/** Of the KV cache, 6 MB each: all are in memory after a few answers, and none is taken later. */
const BLOCKS = ["--num-gpu-blocks-override", "20"];
const WARM_ROUNDS = 4;

let served: RealVllm;
let unbounded: RealVllm;
let engine: VllmEngine;
let monitor: MailboxClient;
let asked: number[][];
/** what vLLM says while there is peace, without drafts */
let truth: number[][];

beforeAll(async () => {
  [served, unbounded] = (await startTogether([
    startVllm(true, ["--enable-scale-out", ...BLOCKS]),
    startVllm("unbounded.Unbounded", BLOCKS),
  ])) as [RealVllm, RealVllm];
  engine = await engineBefore(served);
  monitor = await MailboxClient.open(served.mailbox!, SECRET);
  asked = await prompts(served.url, 8);
  truth = (await answers(false)).map(({ tokens }) => tokens);
});
afterAll(async () => {
  monitor?.close();
  engine?.close();
  await Promise.all([served?.stop(), unbounded?.stop()]);
});

const answers = (drafted: boolean) =>
  together(asked, (prompt, i) =>
    ask(engine, {
      ...{ prompt, maxTokens: TOKENS, principal: "victim" },
      ...(drafted ? { drafts: following(truth[i]!) } : {}),
    }),
  );

/** Of the process of a server that the mailbox is in: the largest behind the first. */
function engineBytes({ pid }: RealVllm): number {
  const sizes = readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === pid) return [];
    try {
      // Behind the name, which may have blanks: state, parent, group.
      const group = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ")[2];
      const [kilobytes] = /(?<=VmRSS:\s+)\d+/.exec(readFileSync(`/proc/${name}/status`, "utf8")) ?? [];
      return Number(group) === pid && kilobytes ? [Number(kilobytes) * 1024] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
  expect(sizes.length).toBeGreaterThan(0);
  return Math.max(...sizes);
}

const anyTokens = (count: number) =>
  Int32Array.from({ length: count }, () => Math.floor(Math.random() * VOCABULARY));

/** Until the mailbox has ended the connection, or the attack is over. */
async function closed(socket: Socket, over: AbortSignal): Promise<void> {
  await once(socket, "close", { signal: over }).catch(() => {});
  socket.destroy();
}

/** An attacker's pace, ms: two cores are to be left for what is attacked. */
const CONNECTION_MS = 20;
const WRITE_MS = 1;

/** At that pace until the end, or until `act` gives false. */
async function inTurns(everyMs: number, over: AbortSignal, act: () => Promise<unknown>): Promise<void> {
  try {
    for await (const _ of setInterval(everyMs, null, { signal: over })) if ((await act()) === false) return;
  } catch (error) {
    if (!over.aborted) throw error;
  }
}

/** Again and again until the end, each on a connection of its own. */
const again = (over: AbortSignal, act: () => Promise<void>) =>
  inTurns(CONNECTION_MS, over, () => act().catch(() => {}));

/** Writes until the mailbox has ended the connection. */
async function pour(bytes: () => Uint8Array, over: AbortSignal): Promise<void> {
  const socket = connectRaw(served.mailbox!);
  await inTurns(WRITE_MS, over, async () => {
    if (socket.destroyed) return false;
    return socket.write(bytes()) || room(socket);
  });
  socket.destroy();
}

const longFrame = () => Buffer.concat([Buffer.from([0xff, 0xff, 0xff, 0x7f, 3]), Buffer.alloc(65_536)]);

/** Attacks that go on until the end. */
type Attack = (over: AbortSignal) => Promise<void>;
const ATTACKS: Record<string, Attack> = {
  garbage: (over) => again(over, () => pour(() => randomBytes(4096), over)),
  "frames of 2 GB": (over) => again(over, () => pour(longFrame, over)),
  "a wrong secret": (over) =>
    again(over, () => pour(() => authFrame(randomBytes(16), randomBytes(32)), over)),
  silence: (over) =>
    again(over, async () => {
      const sockets = Array.from({ length: 24 }, () => connectRaw(served.mailbox!));
      for (const socket of sockets) socket.write(Uint8Array.of(33, 0));
      await Promise.all(sockets.map((socket) => closed(socket, over)));
    }),
  "a gateway that sends a long frame": (over) =>
    again(over, async () => {
      const client = await MailboxClient.open(served.mailbox!, SECRET);
      await client.send(longFrame());
      await once(client.socket, "close");
    }),
  "a gateway that does not read": (over) =>
    again(over, async () => {
      const client = await MailboxClient.open(served.mailbox!, SECRET);
      client.stall(2000);
      await closed(client.socket, over);
    }),
  "another tenant's offers for the same prefixes": (over) =>
    again(over, async () => {
      const client = await MailboxClient.open(served.mailbox!, SECRET);
      await together(asked, async (prompt, i) => {
        await client.begin(2 * i);
        await client.begin(2 * i + 1, `generate-tokens-another-${i}`);
        for (let at = 0; at < TOKENS && !over.aborted; at++) {
          const drafts = truth[i]!.slice(at, at + 12).map((token) => (token + 7) % 40_000);
          for (const session of [2 * i, 2 * i + 1]) {
            await client.offer(session, [...prompt, ...truth[i]!.slice(0, at)], drafts);
          }
        }
      });
      await client.statistics();
      client.close();
    }),
};

/** One gateway's flood: sessions without end, a third of the offers for one prefix. */
async function flood(client: MailboxClient, prefix: readonly number[], offers: number): Promise<void> {
  const SESSION_OFFERS = 30;
  const hash = new PrefixHash(client.key);
  hash.pushAll(prefix);
  const tokens = anyTokens(OFFER_TOKENS);
  for (let session = 0; session < offers / SESSION_OFFERS; session++) {
    const frames = Array.from({ length: SESSION_OFFERS }, (_, i) =>
      i % 3 === 0
        ? offerFrame(session, prefix.length, hash.value, tokens)
        : offerFrame(session, i, BigInt(i), tokens),
    );
    await client.send(Buffer.concat([beginFrame(session, ""), ...frames]));
  }
  await client.statistics();
}

interface Damage {
  readonly grownBytes: number;
  readonly slowSteps: number;
  readonly statistics: MailboxStatistics;
}

/** What an attack did to a server. */
async function damage(server: RealVllm, attack: () => Promise<void>): Promise<Damage> {
  const watcher = server === served ? monitor : await MailboxClient.open(server.mailbox!, SECRET);
  const [bytes, before] = [engineBytes(server), await watcher.statistics()];
  await attack();
  const statistics = await watcher.statistics();
  const slowSteps = statistics.steps_over_1ms_cpu - before.steps_over_1ms_cpu;
  return { grownBytes: engineBytes(server) - bytes, slowSteps, statistics };
}

/** The flood, and until it is over the crowd of other attacks, and what happens meanwhile. */
async function attacked(
  offers: number,
  crowd: readonly Attack[],
  meanwhile: (over: AbortSignal) => Promise<void> = async () => {},
): Promise<void> {
  const over = new AbortController();
  // All attacks hear of the end, and so does each of their connections.
  setMaxListeners(0, over.signal);
  // Before the crowd is there, in which a connection may have to try again.
  const flooder = await MailboxClient.open(served.mailbox!, SECRET);
  const flooded = flood(flooder, asked[0]!, offers).finally(() => over.abort());
  await Promise.all([...[meanwhile(over.signal), flooded], ...crowd.map((attack) => attack(over.signal))]);
  flooder.close();
}

it(`${OFFERS.toLocaleString("en")} offers${FULL ? " and seven other attacks" : ""} take no more memory than the bounds allow`, async () => {
  const crowd = FULL ? Object.values(ATTACKS) : [];
  const { grownBytes, statistics } = await damage(served, () => attacked(OFFERS, crowd));
  console.log(`attack: ${(grownBytes / 1e6).toFixed(1)} MB more, ${JSON.stringify(statistics.mailbox)}`);
  expect(grownBytes).toBeLessThan(MOST_GROWTH_BYTES);
  expect(statistics.mailbox.errors).toBe(0);
});

it("a flood and seven other attacks change no answer, and keep no step waiting", async () => {
  for (let i = 0; i < WARM_ROUNDS; i++) await answers(true);
  let rounds = 0;
  const { grownBytes, slowSteps, statistics } = await damage(served, () =>
    attacked(OFFERS_BESIDE_ANSWERS, Object.values(ATTACKS), async (over) => {
      for (; !over.aborted || rounds === 0; rounds++) {
        expect((await answers(true)).map(({ tokens }) => tokens)).toEqual(truth);
      }
    }),
  );
  const { mailbox, box, slowest_cpu_s, steps, errors, invalid } = statistics;
  console.log(
    `attack: ${rounds} rounds, ${steps} steps, slowest ${(slowest_cpu_s * 1e3).toFixed(2)} ms, ` +
      `${(grownBytes / 1e6).toFixed(1)} MB more, ${JSON.stringify({ mailbox, box })}`,
  );
  // vLLM's own growth over hundreds of answers is in it.
  expect(grownBytes).toBeLessThan(MOST_GROWTH_WITH_ANSWERS_BYTES);
  expect(slowSteps).toBe(0);
  expect({ errors, invalid, faults: mailbox.errors }).toEqual({ errors: {}, invalid: 0, faults: 0 });
  // Every attack did arrive.
  for (const name of ["refused_secret", "refused_frame", "refused_unread", "refused_full"]) {
    expect(mailbox[name], name).toBeGreaterThan(0);
  }
  expect(box.offers).toBeGreaterThan(OFFERS_BESIDE_ANSWERS);
  for (const name of ["sessions_over_bound", "over_prefix_bound"]) expect(box[name]).toBeGreaterThan(0);
});

it("control: without the plugin's bounds the flood alone takes more memory and time than that", async () => {
  const [prompt] = asked as [number[]];
  await together(Array(8 * WARM_ROUNDS).fill(prompt) as number[][], (one) =>
    complete(unbounded.url, { prompt: one, max_tokens: TOKENS, temperature: 0 }),
  );
  const flooder = await MailboxClient.open(unbounded.mailbox!, SECRET);
  const { grownBytes, slowSteps } = await damage(unbounded, async () => {
    let done = false;
    const answer = async () => {
      while (!done) await complete(unbounded.url, { prompt, max_tokens: 2, temperature: 0 });
    };
    const flooded = flood(flooder, prompt, OFFERS).finally(() => {
      done = true;
    });
    await Promise.all([flooded, answer()]);
  });
  flooder.close();
  console.log(`control: ${slowSteps} slow steps, ${(grownBytes / 1e6).toFixed(1)} MB more`);
  expect(grownBytes).toBeGreaterThan(MOST_GROWTH_BYTES);
  expect(slowSteps).toBeGreaterThan(0);
});
