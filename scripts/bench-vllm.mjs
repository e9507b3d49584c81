// `picospec bench real --engine vllm` with all that it needs, on this machine: vLLM for CPU in three ways (with PicoSpec's
// plugin, with its own n-gram drafts, plain), each with its gateway on processor 0; the edge on processor 1. Idle servers
// take memory alone: 3 GB each. The drafters are GGUF files in Q4_1, or 8-bit copies of them where this processor decodes
// those faster.
// `node scripts/bench-vllm.mjs [--servers FILE] [options of the suite]`; with --servers it only starts them, writes their
// options into FILE and waits to be ended.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { eightBitModel } from "./eight-bit-model.mjs";
import { noisyModel } from "./noisy-model.mjs";
import { vllmEnvironment } from "./vllm-environment.mjs";

const [SERVER_CPU, EDGE_CPU] = ["0", "1"];
const STEP_DRAFTS = 8;
const PACE_PROMPT = "Write a long story about a boat.";
const START_MS = 280_000;
/** In the weights of a drafter that agrees with the target at seven places of ten, and of one that never does. */
const NOISE = { weak: 0.125, useless: 1.5 };

const command = fileURLToPath(new URL("../bin/picospec.js", import.meta.url));
const say = (text) => console.error(`bench-vllm: ${text}`);

const SPECULATION = {
  plain: null,
  ngram: {
    method: "ngram",
    num_speculative_tokens: STEP_DRAFTS,
    prompt_lookup_min: 2,
    prompt_lookup_max: 4,
  },
  plugin: {
    method: "custom_class",
    model: "picospec_vllm.Proposer",
    num_speculative_tokens: STEP_DRAFTS,
  },
};

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** @returns its address, once it answers */
async function startServer(kind, { serve, environment }, own, folder, stops) {
  const port = await freePort();
  const speculation = SPECULATION[kind];
  const args = speculation === null ? [] : ["--speculative-config", JSON.stringify(speculation)];
  const child = spawn("taskset", ["-c", SERVER_CPU, ...serve, "--port", `${port}`, ...args], {
    cwd: folder,
    env: { ...process.env, ...environment, ...own },
    stdio: ["ignore", "pipe", "pipe"],
    // Its engine is a process of its own, which ends with the group.
    detached: true,
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  stops.push(async () => {
    signal(child, "SIGTERM");
    await Promise.race([ended, wait(10_000)]);
    signal(child, "SIGKILL");
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (bytes) => {
      said = (said + bytes).slice(-4000);
    });
  }
  const url = `http://127.0.0.1:${port}`;
  for (const started = Date.now(); ; await wait(500)) {
    if ((await fetch(`${url}/health`).catch(() => null))?.ok) return url;
    if (child.exitCode !== null || Date.now() - started > START_MS) {
      throw new Error(`vLLM (${kind}) does not start:\n${said}`);
    }
  }
}

function signal({ pid }, name) {
  try {
    process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}

async function drafterFiles(gguf) {
  const files = { full: gguf };
  for (const [name, noise] of Object.entries(NOISE)) {
    files[name] = join(dirname(gguf), `noise-${noise}.gguf`);
    if (!existsSync(files[name])) await noisyModel(gguf, files[name], noise);
  }
  const copy = (file) => file.replace(/(\.Q4_1)?\.gguf$/, ".Q8_0.gguf");
  for (const file of Object.values(files)) {
    if (!existsSync(copy(file))) await eightBitModel(file, copy(file));
  }
  const rates = [gguf, copy(gguf), gguf, copy(gguf)].map(draftsPerSecond);
  const [four, eight] = [Math.max(rates[0], rates[2]), Math.max(rates[1], rates[3])];
  const isEight = eight > four;
  say(
    `the drafter makes ${four} tokens/s in Q4_1 and ${eight} in Q8_0: drafts are made in ${isEight ? "Q8_0" : "Q4_1"}`,
  );
  if (!isEight) return files;
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, copy(file)]));
}

/** Of a drafter by itself, on the edge's processor. */
function draftsPerSecond(file) {
  const asked = ["--policy", "edge", "--threads", "1", "--temperature", "0", "--max-tokens", "120", "--json"];
  const args = ["-c", EDGE_CPU, process.execPath, command, "run", "--model", file, ...asked, PACE_PROMPT];
  const { stdout, stderr, status } = spawnSync("taskset", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the drafter ${file} did not answer: ${stderr}`);
  return Math.round(JSON.parse(stdout).tokensPerSecond);
}

/** Starts what is missing. @returns options of the suite, and its environment */
async function servers(folder, stops) {
  const found = await vllmEnvironment({ say });
  const drafters = await drafterFiles(found.gguf);
  const mailbox = `unix:${join(folder, "mailbox")}`;
  const own = { PICOSPEC_MAILBOX: mailbox, PICOSPEC_SECRET: randomBytes(32).toString("hex") };
  const urls = {};
  // One at a time: they share a processor.
  for (const kind of Object.keys(SPECULATION)) {
    say(`starting vLLM ${found.version} (${kind})`);
    urls[kind] = await startServer(kind, found, own, folder, stops);
  }
  const options = [
    ...["--url", urls.plugin, "--mailbox", mailbox],
    ...["--plain-url", urls.plain, "--ngram-url", urls.ngram, "--cloud-cpus", SERVER_CPU],
    ...["--drafter", drafters.full, "--weak-drafter", drafters.weak, "--useless-drafter", drafters.useless],
  ];
  return { options, secret: own.PICOSPEC_SECRET };
}

function bench(options, secret, given) {
  const args = ["-c", EDGE_CPU, process.execPath, command, "bench", "real", "--engine", "vllm"];
  const { status } = spawnSync("taskset", [...args, ...options, "--same-weights", ...given], {
    stdio: "inherit",
    env: { ...process.env, PICOSPEC_SECRET: secret },
  });
  return status ?? 1;
}

const given = process.argv.slice(2);
const at = given.indexOf("--servers");
const stops = [];
const folder = mkdtempSync(join(tmpdir(), "picospec-bench-"));
const stopped = new Promise((resolve) => {
  for (const name of ["SIGINT", "SIGTERM"]) process.once(name, resolve);
});
try {
  const { options, secret } = await servers(folder, stops);
  if (at >= 0) {
    const env = `PICOSPEC_SECRET=${secret}`;
    writeFileSync(given[at + 1], `${env}\n${options.join(" ")}\n`, { mode: 0o600 });
    say(`the servers are up; their options are in ${given[at + 1]}`);
    // Signals alone keep no process alive.
    const alive = setInterval(() => {}, 60_000);
    await stopped;
    clearInterval(alive);
  } else process.exitCode = bench(options, secret, given);
} catch (error) {
  console.error(`bench-vllm: ${error.message}`);
  process.exitCode = 1;
} finally {
  await Promise.all(stops.map((stop) => stop()));
  rmSync(folder, { recursive: true, force: true });
}
