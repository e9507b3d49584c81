import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import {
  BIN,
  DRAFTER,
  finished,
  picospec,
  type RunningCloud,
  startCloud,
  TARGET,
} from "../support/processes.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
const other = join(folder, "other.gguf");
const QUESTION = "Tell me a story about a frog and a lantern.";
let cloud: RunningCloud;

beforeAll(async () => {
  writeRandomGguf(other, { kind: "spm", vocabularySize: 600, layers: 1, seed: 1 });
  writeFileSync(join(folder, "text.gguf"), "this is no model");
  cloud = await startCloud();
});
afterAll(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
});

const run = (...args: string[]) =>
  picospec(["run", QUESTION, "--cloud", cloud.url, "--model", DRAFTER, ...args]);

describe("run", () => {
  it("streams the answer to stdout and the statistics to stderr", async () => {
    const { status, stdout, stderr } = await run("--temperature", "0");
    expect(status).toBe(0);
    expect(stdout).toMatch(/frog.*\n$/s);
    expect(stderr).toMatch(/^\[race: \d+ tokens at [\d.]+\/s, .*ended\s+by\s+end,\s+seed\s+\d+\]\n$/s);
  });

  it("says the same with every policy at temperature 0, and prints one JSON object", async () => {
    const texts: string[] = [];
    for (const policy of ["cloud", "vanilla", "picospec", "race", "picospec-no-separate-rejection"]) {
      const { status, stdout } = await run("--temperature", "0", "--policy", policy, "--json");
      const report = JSON.parse(stdout);
      expect([status, report.policy]).toEqual([0, policy]);
      expect(report.tokensPerSecond).toBeGreaterThan(0);
      texts.push(report.text);
    }
    expect(new Set(texts).size).toBe(1);
  });

  it("gives the same text for the same seed, and other texts for others", async () => {
    const text = async (seed: string) =>
      JSON.parse((await run("--temperature", "1", "--seed", seed, "--json")).stdout).text;
    const [a, b, c] = [await text("7"), await text("7"), await text("8")];
    expect(a).toBe(b);
    expect(c).not.toBe(a);
  });

  it("takes every sampler option", async () => {
    const options = ["--top-k", "20", "--top-p", "0.9", "--min-p", "0.01", "--repetition-penalty", "1.1"];
    const more = [
      "--presence-penalty",
      "0.2",
      "--frequency-penalty",
      "0.1",
      "--penalty-last-n",
      "32",
      "--logit-bias",
      "1:-2",
    ];
    const { status, stdout } = await run(...options, ...more, "--max-tokens", "12", "--json");
    expect([status, JSON.parse(stdout).tokens]).toEqual([0, 12]);
  });

  it("reads the prompt from stdin, and answers alone where the policy says so", async () => {
    const { status, stdout } = await picospec(
      ["run", "-", "--model", DRAFTER, "--policy", "edge", "--temperature", "0"],
      { stdin: QUESTION },
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^Near the /);
  });

  it("drafts without a model on this device, by the target's tokenizer from the cloud: the same text", async () => {
    const { status, stdout } = await picospec([
      ...["run", QUESTION, "--cloud", cloud.url, "--drafter", "lookup", "--temperature", "0", "--json"],
    ]);
    expect(status).toBe(0);
    const alone = await run("--policy", "cloud", "--temperature", "0", "--json");
    expect(JSON.parse(stdout).text).toBe(JSON.parse(alone.stdout).text);
  });

  it("ends with status 130 and what it has when it is interrupted", async () => {
    const { spawn } = await import("node:child_process");
    const slow = await startCloud(["--hardware", "standard"]);
    const child = spawn(process.execPath, [
      BIN,
      "run",
      QUESTION,
      "--cloud",
      slow.url,
      "--model",
      DRAFTER,
      "--policy",
      "cloud",
    ]);
    child.stdout.once("data", () => child.kill("SIGINT"));
    const { status, stdout } = await finished(child);
    expect([status, stdout.length > 0]).toEqual([130, true]);
    await slow.stop();
  });
});

describe("demo", () => {
  it("--json prints one object in the documented shape", async () => {
    const { status, stdout } = await picospec([
      "demo",
      "--json",
      "--hardware",
      "off",
      "--rtt",
      "10",
      "--max-tokens",
      "40",
      "--policy",
      "vanilla,picospec",
      "--seed",
      "5",
    ]);
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(Object.keys(report)).toEqual(["prompt", "seed", "emulated", "runs", "speedup"]);
    expect([report.seed, report.emulated]).toEqual(["5", { rttMs: 10, pace: null }]);
    expect(report.runs.map((run: { policy: string }) => run.policy)).toEqual([
      "cloud",
      "vanilla",
      "picospec",
    ]);
    const fields =
      "policy text tokens tokensPerSecond timeToFirstTokenMs acceptanceRate acceptedPerRound rounds rollbacks targetPassesPerToken uplinkBytesPerToken downlinkBytesPerToken";
    for (const run of report.runs) expect(Object.keys(run)).toEqual(fields.split(" "));
    expect(new Set(report.runs.map((run: { text: string }) => run.text)).size).toBe(1);
    expect(report.speedup).toBeCloseTo(report.runs[2].tokensPerSecond / report.runs[0].tokensPerSecond, 2);
  });

  it("shows each answer and a table that says what is emulated", async () => {
    const { status, stdout } = await picospec([
      "demo",
      "--hardware",
      "standard",
      "--rtt",
      "20",
      "--max-tokens",
      "12",
    ]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Emulated network: RTT 20 ms\. Emulated hardware \(standard\)/);
    expect(stdout).toMatch(/cloud +picospec +race\n/);
    expect(stdout).toMatch(/target passes a token +1\.00 +0\.\d\d +\d\.\d\d/);
    expect(stdout).toMatch(/same text as the cloud alone +yes +yes +yes/);
    expect(stdout).toMatch(/All texts of the target are identical\./);
    expect(stdout).toMatch(
      /Measured over an emulated network \(RTT 20 ms\), and emulated hardware \(standard\)\./,
    );
    expect(stdout).not.toContain("\u001b[");
  });
});

describe("bad input ends in one clear line and a non-zero exit", () => {
  const cases: [string, () => readonly string[], RegExp][] = [
    ["a missing file", () => ["cloud", "--model", "none.gguf"], /there is no model file at none\.gguf/],
    [
      "a file that is no GGUF",
      () => ["cloud", "--model", join(folder, "text.gguf")],
      /text\.gguf is no GGUF file/,
    ],
    [
      "a port in use",
      () => ["cloud", "--model", TARGET, "--port", String(cloud.port)],
      /port \d+ on 127\.0\.0\.1 is taken/,
    ],
    [
      "a context that the model does not have",
      () => ["cloud", "--model", TARGET, "--context", "9999"],
      /knows 1024 tokens of context, not 9999/,
    ],
    [
      "a pair whose tokenizers differ",
      () => ["run", "x", "--cloud", cloud.url, "--model", other],
      /cannot draft for pico-target-q8_0\.gguf: their vocabularies are of different types: SPM in the drafter, BPE in the target/,
    ],
    [
      "a cloud that is not there",
      () => ["run", "x", "--cloud", "ws://127.0.0.1:1", "--model", DRAFTER],
      /no cloud answers at ws:\/\/127\.0\.0\.1:1/,
    ],
    [
      "an address that is none",
      () => ["run", "x", "--cloud", "localhost", "--model", DRAFTER],
      /a cloud's address is ws:\/\/HOST:PORT/,
    ],
    ["neither a model nor prompt lookup", () => ["run", "x", "--cloud", cloud.url], /give --model FILE, or/],
    [
      "nothing to plan for",
      () => ["plan"],
      /give --cloud URL and --model FILE to measure, or --scenario NAME/,
    ],
    ["no cloud where one is needed", () => ["run", "x", "--model", DRAFTER], /policy race needs a cloud/],
    [
      "a prompt longer than the context",
      () => ["run", "word ".repeat(1200), "--cloud", cloud.url, "--model", DRAFTER],
      /the prompt has \d+ tokens, and the context of 1024/,
    ],
    [
      "a sampler setting out of range",
      () => ["run", "x", "--cloud", cloud.url, "--model", DRAFTER, "--top-p", "1.5"],
      /--top-p.*above 0 and at most 1, not 1\.5/,
    ],
    [
      "a policy that is not there",
      () => ["run", "x", "--cloud", cloud.url, "--model", DRAFTER, "--policy", "best"],
      /unknown policy "best"; there are cloud, race, edge/,
    ],
    [
      "a hardware profile that is not there",
      () => ["demo", "--hardware", "warp"],
      /unknown hardware profile "warp"; there are standard/,
    ],
    ["a seed that is no number", () => ["demo", "--seed", "x"], /seed must be a whole number/],
    ["half a token", () => ["demo", "--max-tokens", "1.5"], /whole number from 1/],
    ["an option that is not there", () => ["demo", "--fast"], /unknown option '--fast'/],
    ["a command that is not there", () => ["fly"], /unknown command 'fly'/],
  ];

  it.each(cases)("%s", async (_, args, message) => {
    const { status, stdout, stderr } = await picospec(args());
    expect(status).toBeGreaterThan(0);
    expect(stderr).toMatch(message);
    expect(stdout).toBe("");
    const lines = stderr
      .trim()
      .split("\n")
      .filter((line) => !line.startsWith("(add --help") && line !== "");
    expect(lines, stderr).toHaveLength(1);
    expect(stderr).not.toMatch(/ {4}at |node:internal/);
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("a cloud that goes away in mid-answer (%s)", async (signal) => {
    const { spawn } = await import("node:child_process");
    const slow = await startCloud(["--hardware", "standard", "--drain-seconds", "0"]);
    const args = ["--cloud", slow.url, "--model", DRAFTER, "--reconnect", "0"];
    const child = spawn(process.execPath, [BIN, "run", QUESTION, ...args]);
    child.stdout.once("data", () => void slow.stop(signal));
    const { status, stdout, stderr } = await finished(child);
    expect([status, stdout.length > 1]).toEqual([1, true]);
    expect(stderr).toMatch(/^picospec: (the cloud went away: .*|.*shutting down.*)\n$/);
  });
});

describe("a cloud that comes back", () => {
  it.each([
    "picospec",
    "vanilla",
    "cloud",
  ])("in mid-answer of %s: the text is what it would have been", async (policy) => {
    const { spawn } = await import("node:child_process");
    const alone = JSON.parse((await run("--temperature", "0", "--policy", "cloud", "--json")).stdout).text;
    const first = await startCloud(["--hardware", "standard"]);
    const args = ["--cloud", first.url, "--model", DRAFTER, "--policy", policy, "--temperature", "0"];
    const child = spawn(process.execPath, [BIN, "run", QUESTION, ...args]);
    let again: Promise<RunningCloud> | null = null;
    child.stdout.once("data", () => {
      again = first.stop("SIGKILL").then(() => startCloud(["--port", String(first.port)]));
    });
    const { status, stdout, stderr } = await finished(child);
    expect(status, stderr).toBe(0);
    expect(stdout).toBe(`${alone}\n`);
    await (await again!).stop();
  });
});

describe("eval", () => {
  it("asks held-out tasks through policies: the same text as the cloud alone, and as much of it is right", async () => {
    const { status, stdout, stderr } = await picospec([
      "eval",
      "--n",
      "2",
      "--policy",
      "cloud,edge,race",
      "--json",
    ]);
    expect(status, stderr).toBe(0);
    const { results, agreement } = JSON.parse(stdout);
    const [alone, edge, race] = results;
    expect(alone).toMatchObject({ policy: "cloud", sameText: 8, acceptanceRate: null, all: { tasks: 8 } });
    expect(Object.keys(alone.families)).toEqual(["math", "code", "story", "data"]);
    expect(race).toMatchObject({ policy: "race", sameText: 8, families: alone.families, all: alone.all });
    expect(race.acceptanceRate).toBeGreaterThan(0.3);
    expect(edge.sameText).toBeLessThan(8);
    for (const family of ["math", "code", "story", "data"]) {
      expect(agreement[family].value).toBeGreaterThan(0.5);
      expect(agreement[family].value).toBeLessThan(1);
    }
  });

  it("prints a table, and says in one line what is wrong with an option", async () => {
    const { stdout } = await picospec(["eval", "--n", "1", "--task", "story", "--policy", "cloud"]);
    expect(stdout).toMatch(/^right +story +accepted +tokens\/s +same text\ncloud +\d+% \(\d+ to \d+\)/);
    const { status, stderr } = await picospec(["eval", "--task", "poems"]);
    expect(status).toBe(2);
    expect(stderr).toMatch(/--task .*poems.* Allowed choices are math, code, story, data, all/);
  });
});

describe("plan", () => {
  it("measures a cloud in some twenty seconds, and says what to choose and whether it pays", async () => {
    const paced = await startCloud(["--hardware", "standard"]);
    const startMs = Date.now();
    const args = ["plan", "--cloud", paced.url, "--model", DRAFTER, "--answers", "4", "--json"];
    const { status, stdout, stderr } = await picospec(args);
    // The probe has ten seconds, and so have answers in turns; the rest is for starting and for the simulations.
    expect(Date.now() - startMs).toBeLessThan(60_000);
    expect(status, stderr).toBe(0);
    const { scenario, measured, policies, choice, advice, raceOverCloud } = JSON.parse(stdout);
    expect(scenario.passMs).toBeGreaterThan(90);
    expect(scenario.passMs).toBeLessThan(140);
    expect(Object.keys(measured)).toEqual(
      expect.arrayContaining(["rttMs", "passMs", "draftMs", "acceptance"]),
    );
    expect(policies[0]).toMatchObject({ policy: "cloud", speedup: { value: 1 } });
    expect(["race", "picospec", "vanilla"]).toContain(choice);
    expect(advice[0]).toMatch(/PicoSpec pays off here/);
    // Emulated hardware: passes of 100 ms.
    expect(raceOverCloud).toMatchObject({ verdict: "race" });
    expect(raceOverCloud.low).toBeGreaterThan(1);
    await paced.stop();
  });

  it("says that it does not pay where it does not", async () => {
    const bad = ["--set", "draft=60", "--set", "acceptance=0.2", "--set", "acceptanceCoupled=0.2"];
    const { status, stdout } = await picospec(["plan", "--scenario", "transatlantic", ...bad]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/cloud \(take this\)/);
    expect(stdout).toMatch(/PicoSpec does not pay off here: .*\nA draft takes nearly as long as a pass/s);
  });
});

describe("the cloud's door", () => {
  const knock = (options: WebSocket.ClientOptions) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(cloud.url, options);
      socket.once("open", () => {
        socket.close();
        resolve("open");
      });
      socket.once("error", (error) => resolve(error.message));
    });

  it("is shut to web pages: a handshake with an Origin header is refused", async () => {
    expect(await knock({ headers: { origin: "http://example.org" } })).toMatch(/403/);
    expect(await knock({})).toBe("open");
  });

  it("sends who speaks something else away, and goes on serving", async () => {
    const replies: string[] = [];
    await new Promise<void>((resolve) => {
      const socket = new WebSocket(cloud.url);
      socket.once("open", () => socket.send(new Uint8Array([99, 0, 0, 0, 0, 0, 0, 0])));
      socket.on("message", (data) => replies.push(String(data)));
      socket.once("close", () => resolve());
    });
    expect(replies.join()).toMatch(/bad_frame.*no frame type 99/);
    const { status } = await run("--max-tokens", "4", "--json");
    expect(status).toBe(0);
  });
});

describe("help", () => {
  it.each([
    ["--help"],
    ["demo", "--help"],
    ["cloud", "--help"],
    ["run", "--help"],
    ["simulate", "--help"],
    ["bench", "--help"],
  ])("%s %s has examples", async (...args) => {
    const { status, stdout } = await picospec(args.filter(Boolean));
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples?:\n(?: {2}# .*\n)? {2}\$ picospec/);
  });
});
