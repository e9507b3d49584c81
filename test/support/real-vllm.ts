import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { freePort } from "./free-port.ts";

/** A real, unmodified vLLM for CPU with SmolLM2-135M in float32, with PicoSpec's plugin or without. */

/** As `scripts/test-vllm.mjs` finds it. */
interface Environment {
  readonly gguf: string;
  readonly model: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly serve: readonly [string, ...string[]];
}

/** @throws Error that says how these tests are run */
export function vllmEnvironment(): Environment {
  const text = process.env.PICOSPEC_TEST_VLLM;
  if (!text) throw new Error("these tests need vLLM: run them with npm run test:vllm");
  return JSON.parse(text) as Environment;
}

export const SECRET = "a secret of the tests, long enough";
export const STEP_DRAFTS = 8;

/** On a machine that is busy. */
const START_MS = 280_000;

/** What is offered is taken, however the machine is loaded, and nothing else is drafted. */
const ALL_DRAFTS = { PICOSPEC_ADAPT: "off", PICOSPEC_NGRAM: "off" };

export interface RealVllm {
  readonly url: string;
  /** null: it has no plugin */
  readonly mailbox: string | null;
  /** of its first process, and of the group of all */
  readonly pid: number;
  stop(): Promise<void>;
}

/**
 * Starts it, in half a minute on a quiet machine.
 * @param plugin drafts are taken; a text is another class than the plugin's own, in test/vllm/plugins
 */
export async function startVllm(plugin: boolean | string, more: readonly string[] = []): Promise<RealVllm> {
  const { serve, environment } = vllmEnvironment();
  const folder = mkdtempSync(join(tmpdir(), "picospec-vllm-"));
  const port = await freePort();
  const mailbox = `unix:${join(folder, "mailbox")}`;
  const speculation = {
    ...{ method: "custom_class", model: typeof plugin === "string" ? plugin : "picospec_vllm.Proposer" },
    num_speculative_tokens: STEP_DRAFTS,
  };
  const args = plugin ? ["--speculative-config", JSON.stringify(speculation)] : [];
  const [program, ...first] = serve;
  const child = spawn(program, [...first, "--port", `${port}`, ...args, ...more], {
    env: {
      ...process.env,
      ...environment,
      PYTHONPATH: [environment.PYTHONPATH, resolve("test/vllm/plugins")].join(":"),
      PICOSPEC_MAILBOX: mailbox,
      PICOSPEC_SECRET: SECRET,
      ...ALL_DRAFTS,
    },
    stdio: ["ignore", "pipe", "pipe"],
    // Its engine is a process of its own, which ends with the group.
    detached: true,
  });
  const said: string[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (bytes: Buffer) => {
      said.push(bytes.toString());
      if (said.length > 200) said.shift();
    });
  }
  const url = `http://127.0.0.1:${port}`;
  // Also where a test's own setup fails: then no test is left to stop it.
  const kill = () => signal(child, "SIGKILL");
  process.once("exit", kill);
  const stop = async () => {
    await ended(child);
    process.off("exit", kill);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const started = Date.now(); !(await isUp(child, url)); await setTimeout(500)) {
      if (Date.now() - started > START_MS) throw new Error(`it is not up after ${START_MS / 1000} s`);
    }
  } catch (error) {
    await stop();
    throw new Error(`vLLM does not start:\n${said.join("").slice(-4000)}`, { cause: error });
  }
  return { url, mailbox: plugin ? mailbox : null, pid: child.pid!, stop };
}

/** Several at a time: where one does not start, none is left. */
export async function startTogether(starts: readonly Promise<RealVllm>[]): Promise<RealVllm[]> {
  const settled = await Promise.allSettled(starts);
  const up = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const failed = settled.find((one) => one.status === "rejected");
  if (!failed) return up;
  await Promise.all(up.map((server) => server.stop()));
  throw failed.reason;
}

async function isUp(child: ChildProcess, url: string): Promise<boolean> {
  if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
  const answer = await fetch(`${url}/health`).catch(() => null);
  return answer?.ok ?? false;
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const closed = once(child, "close");
  signal(child, "SIGTERM");
  const late = new AbortController();
  setTimeout(15_000, null, { signal: late.signal }).then(
    () => signal(child, "SIGKILL"),
    () => {},
  );
  await closed;
  late.abort();
}

/** @returns ids of the answer */
export async function complete(url: string, body: Readonly<Record<string, unknown>>): Promise<number[]> {
  const answer = await post(url, "/v1/completions", { model: "smollm2", return_token_ids: true, ...body });
  if (answer.status !== 200) throw new Error(`status ${answer.status}: ${JSON.stringify(answer.json)}`);
  const { choices } = answer.json as { choices: { token_ids: number[] }[] };
  return choices[0]!.token_ids;
}

export async function post(url: string, path: string, body: unknown) {
  const answer = await fetch(url + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
}

const SUBJECTS = [
  ...[
    "a fox and a ring",
    "the colour of the sky",
    "how to bake bread",
    "five kinds of fruit",
    "a long winter",
  ],
  ...["the moon", "two brothers", "an old clock"],
];
const FORMS = [
  ...[
    "Write a short story about",
    "Explain to a child",
    "List what is worth knowing about",
    "Ask a question about",
  ],
  "Say something kind about",
];

/** Ids of prompts, as a chat of one question; 40 at most. */
export async function prompts(url: string, count: number): Promise<number[][]> {
  const asked = FORMS.flatMap((form) => SUBJECTS.map((subject) => `${form} ${subject}.`)).slice(0, count);
  return Promise.all(
    asked.map(async (content) => {
      const messages = [{ role: "user", content }];
      const { json } = await post(url, "/tokenize", { model: "smollm2", messages });
      return json.tokens as number[];
    }),
  );
}
