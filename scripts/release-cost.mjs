// One sample of what a build of PicoSpec costs, as JSON: node scripts/release-cost.mjs DIST own-code|payload.
// It knows the names of release 0.1 and of this one. scripts/compare-release.mjs runs it.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [dist, kind] = process.argv.slice(2);

const LANGUAGE = { vocabularySize: 512, order: 3, spread: 7, divergence: 3, contextTokens: 600 };
const PROMPT = Int32Array.from({ length: 24 }, (_, i) => 1 + ((7 * i) % 511));
const TOKENS = 160;
const SEEDS = 8;
const RTT_MS = 40;
/** What opens a connection or a session is no payload of its tokens. */
const OPENING = new Set(["hello", "welcome", "open"]);

console.log(JSON.stringify(kind === "own-code" ? await ownCode() : await payload()));

/** The first of these modules that the build has. */
function load(...paths) {
  const path = paths.map((name) => join(resolve(dist), name)).find((name) => existsSync(name));
  if (!path) throw new Error(`${dist} has none of ${paths.join(", ")}: is it a build of PicoSpec?`);
  return import(pathToFileURL(path).href);
}

/** Medians of the bench's runs, ms per token. The clock counts CPU time, so that other programs do not matter. */
async function ownCode() {
  const { benchOwnCode } = await load("lab/bench/own-code.js", "bench/own-code.js");
  const cpuMs = await threadClock();
  if (cpuMs) performance.now = cpuMs;
  return benchOwnCode().map(({ policy, edgeMsPerToken, cloudMsPerToken }) => {
    return { policy, edge: edgeMsPerToken.median, cloud: cloudMsPerToken.median };
  });
}

/** CPU time of this thread, ms; null where the platform has no such clock: then wall time has to do. */
async function threadClock() {
  const known = { linux: ["libc.so.6", 3], darwin: ["libSystem.dylib", 16] }[process.platform];
  if (!known) return null;
  const { default: koffi } = await import("koffi");
  const read = koffi.load(known[0]).func("int clock_gettime(int, void *)");
  const time = new BigInt64Array(2);
  return () => {
    read(known[1], time);
    return Number(time[0]) * 1000 + Number(time[1]) / 1e6;
  };
}

/** Bytes per token that each seed sends in both directions, by policy. */
async function payload() {
  const runtime = await load("src/index.js", "index.js");
  const policies = Object.entries(runtime.POLICIES).filter(([, { target }]) => target);
  return policies.map(([policy, settings]) => {
    const seeds = Array.from({ length: SEEDS }, (_, seed) => session(runtime, settings, seed));
    return { policy, seeds };
  });
}

/** One session over a network with delay: virtual time, toy models, real frames. */
function session(runtime, policy, seed) {
  const { toSeed, VirtualClock, Cloud, ParallelDrafter, ToyDraftModel, decode } = runtime;
  const Target = runtime.ToyPassEngine ?? runtime.ToyTargetModel;
  const Opener = runtime.RemoteOpener ?? runtime.EdgeClient;
  const clock = new VirtualClock();
  const language = { ...LANGUAGE, seed: toSeed(100 + seed) };
  const pace = runtime.paceNamed("paper-qwen");
  const description = { name: "toy", fingerprint: "toy", endTokens: [], chatTemplate: null };
  const target = new Target(language, clock, { kvSlots: 1, sequences: 1 });
  const cloud = new Cloud({
    ...{ model: runtime.pacedTarget(target, pace, clock), description, clock, server: "compare" },
  });
  const bytes = { up: 0, down: 0 };
  const counted = (transport, way) => ({
    start: (handlers) => transport.start(handlers),
    send(message) {
      if (!OPENING.has(decode(message.slice()).type)) bytes[way] += message.length;
      transport.send(message);
    },
    get queuedBytes() {
      return transport.queuedBytes;
    },
    close: () => transport.close(),
  });
  const [near, far] = runtime.memoryPair(clock);
  const slow = runtime.wan(near, runtime.symmetricWan(RTT_MS), clock, () => 0.5);
  cloud.accept(counted(far, "down"));
  const tokens = [];
  let end = null;
  new Opener({
    ...{ link: runtime.wireLink(counted(slow, "up")), reconnect: null, reconnectWithinMs: 0, secret: null },
    drafter: new ParallelDrafter(runtime.pacedDrafter(new ToyDraftModel(language, clock), pace, clock)),
    ...{ fingerprint: "toy", clock, client: "compare" },
    ready(error, opener) {
      if (error) throw error;
      const sampler = runtime.samplerSettings({ temperature: seed % 2 === 0 ? 1 : 0 });
      const settings = { policy, sampler, seed: toSeed(seed), maxTokens: TOKENS };
      opener.open(settings, PROMPT, {
        token: (token) => tokens.push(token),
        finished(outcome) {
          end = outcome;
          opener.close();
        },
      });
    },
  });
  clock.run(1e9);
  if (end?.kind !== "done" || tokens.length !== TOKENS)
    throw new Error(`seed ${seed}: ${JSON.stringify(end)}`);
  return { up: bytes.up / TOKENS, down: bytes.down / TOKENS, text: tokens.join(" ") };
}
