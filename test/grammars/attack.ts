import type { Grammar } from "../../src/decoding/grammar.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { createEdge, type DeviceEdge } from "../../src/node.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/settings.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { connect } from "../../src/transport/node/connect.ts";
import { DRAFTER, type RunningCloud, startCloud } from "../support/processes.ts";
import { HOSTILE } from "./cases.ts";

/**
 * Grammars that are made to cost as much as they can, one after the other over one link, which checks nothing before
 * it sends: what they do to the answers of another edge of the same cloud.
 */

const SECRET = "0123456789abcdef";
const PROMPTS = ["Tell me a story about a fox and a ring.", "What is 7 * 8?", "Hello!"];
const TOKENS = 48;

export interface AttackReport {
  /** by name of the grammar: how its session ended, and after how long */
  readonly attacks: Readonly<Record<string, { readonly end: string; readonly ms: number }>>;
  /** texts of the other edge, before the attack and during it */
  readonly texts: { readonly before: readonly string[]; readonly during: readonly string[] };
  /** from question to last token, in ms */
  readonly answerMs: { readonly before: readonly number[]; readonly during: readonly number[] };
  /** longest time between two tokens of the other edge, in ms */
  readonly gapMs: { readonly before: number; readonly during: number };
  /** of the cloud's process, asked by SIGTERM in the middle of it */
  readonly exit: { readonly status: number | null; readonly ms: number };
  /** text of the other edge on a cloud that was started anew on the port, to which the attacker comes back */
  readonly afterwards: string;
}

export async function attack(): Promise<AttackReport> {
  const cloud = await startCloud(["--sessions", "64"]);
  let again: RunningCloud | null = null;
  const edge = await createEdge({ cloud: cloud.url, model: DRAFTER, threads: 1, gpu: "off" });
  const attacker = await openAttacker(cloud.url);
  try {
    const before = await answers(edge, () => false);
    let over = false;
    const attacks = attackAll(attacker).finally(() => {
      over = true;
    });
    const during = await answers(edge, () => !over);
    const report = await attacks;
    for (const grammar of Object.values(HOSTILE)) void attackWith(attacker, grammar);
    const stopping = performance.now();
    const { status } = await cloud.stop("SIGTERM");
    const exit = { status, ms: performance.now() - stopping };
    again = await startCloud(["--port", String(cloud.port), "--sessions", "64"]);
    const { text } = await ask(edge, PROMPTS[0]!);
    return {
      attacks: report,
      texts: { before: before.texts, during: during.texts },
      answerMs: { before: before.ms, during: during.ms },
      gapMs: { before: before.gapMs, during: during.gapMs },
      exit,
      afterwards: text,
    };
  } finally {
    attacker.close();
    await edge.close();
    await cloud.stop("SIGKILL");
    await again?.stop("SIGTERM");
  }
}

/** An edge without grammars of its own: what it is given it sends. */
async function openAttacker(url: string): Promise<RemoteOpener> {
  return connectEdge({
    transport: await connect(url),
    tokenizer: { fingerprint: "" },
    drafter: null,
    clock: systemClock,
    client: "attacker",
    resume: { reconnect: () => connect(url), withinMs: 10_000, secret: () => SECRET + Math.random() },
  });
}

async function attackAll(attacker: RemoteOpener): Promise<AttackReport["attacks"]> {
  const attacks: Record<string, { end: string; ms: number }> = {};
  for (const [name, grammar] of Object.entries(HOSTILE)) {
    const started = performance.now();
    const end = await attackWith(attacker, grammar);
    attacks[name] = { end, ms: performance.now() - started };
  }
  return attacks;
}

function attackWith(attacker: RemoteOpener, grammar: Grammar): Promise<string> {
  const settings = {
    policy: POLICIES.cloud,
    sampler: samplerSettings({ temperature: 1 }),
    seed: toSeed(3),
    maxTokens: 64,
    grammar,
  };
  return new Promise((resolve) => {
    try {
      attacker.open(settings, Int32Array.of(1, 2, 3), {
        finished: (outcome) =>
          resolve(
            outcome.kind === "done" ? `done, ${outcome.reason}` : `${outcome.code}: ${outcome.message}`,
          ),
      });
    } catch (error) {
      resolve(String(error));
    }
  });
}

/** All prompts at least once, and on while `more`. */
async function answers(edge: DeviceEdge, more: () => boolean) {
  const [texts, ms]: [string[], number[]] = [[], []];
  let gapMs = 0;
  for (let i = 0; i < PROMPTS.length || more(); i++) {
    const started = performance.now();
    const one = await ask(edge, PROMPTS[i % PROMPTS.length]!);
    ms.push(performance.now() - started);
    gapMs = Math.max(gapMs, one.gapMs);
    texts.push(one.text);
  }
  return { texts, ms, gapMs };
}

async function ask(edge: DeviceEdge, prompt: string) {
  let [text, gapMs, last] = ["", 0, 0];
  for await (const event of edge.answer({
    prompt: [{ role: "user", content: prompt }],
    policy: "race",
    sampler: { temperature: 0.7 },
    seed: 5,
    maxTokens: TOKENS,
  })) {
    if (event.type !== "text" || event.tokens.length === 0) continue;
    const now = performance.now();
    if (last > 0) gapMs = Math.max(gapMs, now - last);
    last = now;
    text += event.text;
  }
  return { text, gapMs };
}

/** For `npm run attack:grammars`. @returns the exit status */
export async function printAttack(): Promise<number> {
  const { attacks, texts, answerMs, gapMs, exit, afterwards } = await attack();
  for (const [name, { end, ms }] of Object.entries(attacks)) {
    console.log(`${name.padEnd(24)} ${ms.toFixed(0).padStart(6)} ms  ${end.slice(0, 120)}`);
  }
  const most = (all: readonly number[]) => Math.max(...all).toFixed(0);
  const same = texts.during.every((text, i) => text === texts.before[i % texts.before.length]);
  console.log(
    `another edge: ${texts.during.length} answers meanwhile, ${same ? "the same texts" : "OTHER TEXTS"}; an answer took at most ${most(answerMs.during)} ms (${most(answerMs.before)} before), two tokens were at most ${gapMs.during.toFixed(0)} ms apart (${gapMs.before.toFixed(0)} before)`,
  );
  console.log(`SIGTERM: ended with ${exit.status} after ${exit.ms.toFixed(0)} ms`);
  const back = afterwards === texts.before[0] ? "the same text" : "ANOTHER TEXT";
  console.log(`after a restart, with the attacker back: ${back}`);
  return same && afterwards === texts.before[0] && exit.status === 0 ? 0 : 1;
}
