import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createEdge } from "../../src/node.ts";
import { DRAFTER, type RunningCloud, startCloud, startServer } from "../support/processes.ts";
import { type Attack, CLOUD_ATTACKS } from "./cloud.ts";
import { EDGE_ATTACKS } from "./edge.ts";

/**
 * Hostile peers against real processes: a cloud, attacked at its port, and an edge with a model of its own, attacked over
 * HTTP. Beside each attack an innocent client asks one question after the other.
 */

export const BARS = { grownMb: 200, lateMs: 1000, handlerMs: 50 } as const;

export interface Outcome {
  readonly name: string;
  /** of the server and its children, at most, over what it was before */
  readonly grownMb: number;
  /** how much longer the slowest innocent answer took than those before */
  readonly lateMs: number;
  readonly answers: number;
  readonly sameTexts: boolean;
  /** CPU time of the longest handler, and what it was */
  readonly handlerMs: number;
  readonly handler: string;
  readonly exited: boolean;
}

export function broken(one: Outcome): string[] {
  const bars = [
    one.grownMb >= BARS.grownMb && `grew by ${one.grownMb.toFixed(0)} MB`,
    one.lateMs >= BARS.lateMs && `answers ${one.lateMs.toFixed(0)} ms late`,
    one.handlerMs >= BARS.handlerMs && `a handler took ${one.handlerMs.toFixed(0)} ms (${one.handler})`,
    !one.sameTexts && "other texts",
    one.answers === 0 && "no innocent answer",
    one.exited && "the process ended",
  ];
  return bars.filter((bar) => bar !== false);
}

export interface SuiteOptions {
  readonly attackMs: number;
  /** names of attacks; default: all */
  readonly only?: (name: string) => boolean;
  /** bounds that are switched off: MODULE#OBJECT#FIELD, the module as it is in `src` */
  readonly without?: readonly string[];
  readonly each?: (outcome: Outcome) => void;
}

/** A server with the probe in it, and what is known of its process. */
class Victim {
  readonly server: RunningCloud;
  private readonly report: string;
  ended = false;

  private constructor(server: RunningCloud, report: string) {
    this.server = server;
    this.report = report;
    void server.ended.then(() => {
      this.ended = true;
    });
  }

  static async start(
    folder: string,
    without: readonly string[],
    start: (env: NodeJS.ProcessEnv) => Promise<RunningCloud>,
  ): Promise<Victim> {
    const report = join(mkdtempSync(join(folder, "report-")), "report.json");
    const modules = without.map((one) => {
      const [path, ...rest] = one.split("#");
      return [pathToFileURL(resolve("dist", path!.replace(/\.ts$/, ".js"))).href, ...rest].join("#");
    });
    const probe = pathToFileURL(resolve("test/attacks/probe.mjs")).href;
    const env = {
      ...process.env,
      NODE_OPTIONS: `--import=${probe}`,
      PICOSPEC_ATTACK_REPORT: report,
      PICOSPEC_ATTACK_WITHOUT: modules.join(","),
    };
    return new Victim(await start(env), report);
  }

  /** Longest handler since it was last asked. */
  async longest(): Promise<{ cpuMs: number; what: string }> {
    rmSync(this.report, { force: true });
    if (!this.ended) process.kill(this.server.pid, "SIGUSR2");
    for (let i = 0; i < 500 && !existsSync(this.report) && !this.ended; i++) await pause(10);
    if (!existsSync(this.report)) return { cpuMs: 0, what: "" };
    return JSON.parse(readFileSync(this.report, "utf8"));
  }

  /** Resident memory of the process and its children. */
  get residentMb(): number {
    const pids = [this.server.pid, ...childrenOf(this.server.pid)];
    return pids.reduce((sum, pid) => sum + residentMb(pid), 0);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

function residentMb(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

interface Order {
  readonly name: string;
  readonly port: number;
  readonly attackMs: number;
}

/** Attacks run in a process of their own: what they cost themselves is not the server's doing. */
class Attacker {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(): Promise<Attacker> {
    const child = fork("scripts/attack-peers.mjs", ["--attacker"], { execArgv: [] });
    await once(child, "message");
    return new Attacker(child);
  }

  async run({ name }: Attack, port: number, attackMs: number): Promise<void> {
    this.child.send({ name, port, attackMs } satisfies Order);
    await once(this.child, "message");
  }

  close(): void {
    this.child.kill();
  }
}

/** The program of that process. */
async function attackOnOrder(): Promise<number> {
  const ended = once(process, "disconnect");
  process.on("message", ({ name, port, attackMs }: Order) => {
    const deadline = performance.now() + attackMs;
    const attack = [...CLOUD_ATTACKS, ...EDGE_ATTACKS].find((one) => one.name === name)!;
    void attack.run(port, () => performance.now() > deadline).then(() => process.send?.("done"));
  });
  process.send?.("ready");
  await ended;
  return 0;
}

/** Asks again and again; @returns its text */
type Innocent = (question: string) => Promise<string>;

const QUESTIONS = ["Tell me a story about a fox and a ring.", "What is 7 * 8?", "Hello!"];

async function attacked(
  victim: Victim,
  attacker: Attacker,
  innocent: Innocent,
  attack: Attack,
  attackMs: number,
): Promise<Outcome> {
  const before: { text: string; ms: number }[] = [];
  const ask = async (i: number) => {
    const started = performance.now();
    const text = await innocent(QUESTIONS[i % QUESTIONS.length]!).catch(
      (error: Error) => `failed: ${error.message}`,
    );
    return { text, ms: performance.now() - started };
  };
  for (let i = 0; i < QUESTIONS.length; i++) before.push(await ask(i));
  await victim.longest();
  const restMb = victim.residentMb;
  let mostMb = restMb;
  const watch = setInterval(() => {
    mostMb = Math.max(mostMb, victim.residentMb);
  }, 20);
  const deadline = performance.now() + attackMs;
  const running = attacker.run(attack, victim.server.port, attackMs);
  const during: { text: string; ms: number }[] = [];
  while (performance.now() < deadline && !victim.ended) during.push(await ask(during.length));
  await running;
  during.push(await ask(during.length));
  clearInterval(watch);
  const { cpuMs, what } = await victim.longest();
  const late = during.map(({ ms }, i) => ms - before[i % before.length]!.ms);
  return {
    name: attack.name,
    grownMb: mostMb - restMb,
    lateMs: Math.max(0, ...late),
    answers: during.length,
    sameTexts: during.every(
      ({ text }, i) => text === before[i % before.length]!.text && !text.startsWith("failed"),
    ),
    handlerMs: cpuMs,
    handler: what,
    exited: victim.ended,
  };
}

/** All attacks on a cloud, each on the same process. */
export async function attackCloud(options: SuiteOptions): Promise<Outcome[]> {
  return withFolder(async (folder) => {
    const victim = await Victim.start(folder, options.without ?? [], (env) =>
      startCloud(["--sessions", "64"], env),
    );
    const edge = await createEdge({ cloud: victim.server.url, model: DRAFTER, threads: 1, gpu: "off" });
    try {
      const innocent: Innocent = async (question) => {
        const prompt = [{ role: "user", content: question }] as const;
        const { text } = await edge.ask({
          prompt,
          policy: "race",
          sampler: { temperature: 0.7 },
          seed: 5,
          maxTokens: 16,
        });
        return text;
      };
      return await all(victim, innocent, CLOUD_ATTACKS, options);
    } finally {
      await edge.close();
      await victim.server.stop("SIGKILL");
    }
  });
}

/** All attacks on an edge, whose tokenizer is one of those that overflow their stack. */
export async function attackEdge(options: SuiteOptions): Promise<Outcome[]> {
  return withFolder(async (folder) => {
    const model = join(folder, "model.gguf");
    writeFileSync(model, fragile(readFileSync(DRAFTER)));
    const args = [
      "edge",
      "--port",
      "0",
      "--threads",
      "1",
      "--gpu",
      "off",
      "--policy",
      "edge",
      "--model",
      model,
    ];
    const victim = await Victim.start(folder, options.without ?? [], (env) => startServer(args, env));
    try {
      const innocent: Innocent = async (question) => {
        const body = {
          messages: [{ role: "user", content: question }],
          temperature: 0.7,
          seed: 5,
          max_tokens: 16,
        };
        const response = await fetch(`${victim.server.url}/chat/completions`, {
          method: "POST",
          body: JSON.stringify(body),
          headers: { connection: "close" },
        });
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        return ((await response.json()) as { choices: [{ message: { content: string } }] }).choices[0].message
          .content;
      };
      return await all(victim, innocent, EDGE_ATTACKS, options);
    } finally {
      await victim.server.stop("SIGKILL");
    }
  });
}

/** The model with another pre-tokenizer, whose expressions recurse. Its name has as many letters. */
export function fragile(model: Buffer): Buffer {
  const copy = Buffer.from(model);
  const at = copy.indexOf("command-r", copy.indexOf("tokenizer.ggml.pre"));
  copy.write("llada-moe", at, "latin1");
  return copy;
}

async function all(
  victim: Victim,
  innocent: Innocent,
  attacks: readonly Attack[],
  { attackMs, only = () => true, each = () => {} }: SuiteOptions,
): Promise<Outcome[]> {
  // What is compiled at the first request is no attack's doing.
  for (let i = 0; i < 2 * QUESTIONS.length; i++) await innocent(QUESTIONS[i % QUESTIONS.length]!);
  const outcomes: Outcome[] = [];
  const attacker = await Attacker.start();
  try {
    for (const attack of attacks) {
      if (!only(attack.name) || victim.ended) continue;
      const outcome = await attacked(victim, attacker, innocent, attack, attackMs);
      outcomes.push(outcome);
      each(outcome);
    }
  } finally {
    attacker.close();
  }
  return outcomes;
}

async function withFolder<T>(act: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "picospec-attack-"));
  try {
    return await act(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For `npm run attack:peers`. @returns the exit status */
export async function printAttacks(args: readonly string[]): Promise<number> {
  if (args[0] === "--attacker") return attackOnOrder();
  const attackMs = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 4000);
  const words = args.filter((arg) => !/^\d+$/.test(arg) && !arg.includes("#"));
  const without = args.filter((arg) => arg.includes("#"));
  const only = (name: string) => words.length === 0 || words.some((word) => name.includes(word));
  let failed = 0;
  const each = (one: Outcome) => {
    const bars = broken(one);
    if (bars.length > 0) failed++;
    const figures =
      `+${one.grownMb.toFixed(0)} MB`.padStart(8) +
      `${one.lateMs.toFixed(0)} ms late`.padStart(14) +
      `${one.handlerMs.toFixed(1)} ms`.padStart(10);
    console.log(
      `${one.name.padEnd(44)}${figures}  ${one.answers} answers  ${bars.length === 0 ? "ok" : `BROKEN: ${bars.join(", ")}`}`,
    );
  };
  console.log("a cloud: memory, the latest innocent answer, the longest handler");
  await attackCloud({ attackMs, only, each, without });
  console.log("an edge:");
  await attackEdge({ attackMs, only, each, without });
  console.log(failed === 0 ? "all bars hold" : `${failed} attacks break a bar`);
  return failed === 0 ? 0 : 1;
}
