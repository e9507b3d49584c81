import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import type { Check } from "../../src/cli/doctor/check.ts";
import { DRAFTER, picospec, type RunningCloud, startCloud, TARGET } from "../support/processes.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
const inFolder = (name: string) => join(folder, name);
const [OTHER, TEXT, SHORT, STRANGE] = ["other.gguf", "text.gguf", "short.gguf", "strange.gguf"].map(
  inFolder,
) as [string, string, string, string];
let cloud: RunningCloud;

beforeAll(async () => {
  writeRandomGguf(OTHER, { kind: "spm", vocabularySize: 600, layers: 1, seed: 1 });
  writeFileSync(TEXT, "this is no model");
  const bytes = readFileSync(OTHER);
  writeFileSync(SHORT, bytes.subarray(0, bytes.length - 4096));
  // The first word of five letters after the key is the architecture itself.
  const place = bytes.indexOf("llama", bytes.indexOf("general.architecture"));
  bytes.write("zzzzz", place, "latin1");
  writeFileSync(STRANGE, bytes);
  cloud = await startCloud();
});
afterAll(async () => {
  await cloud.stop();
  rmSync(folder, { recursive: true });
});

async function doctor(...args: string[]) {
  const { status, stdout, stderr } = await picospec(["doctor", "--json", ...args]);
  expect(stderr).toBe("");
  const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: Check[] };
  expect([ok, status]).toEqual(checks.some((check) => check.status === "problem") ? [false, 1] : [true, 0]);
  for (const check of checks) {
    expect(Object.keys(check)).toEqual(["name", "status", "detail", "advice"]);
    expect(check.advice === null).toBe(check.status === "ok");
  }
  const named = (name: string) => checks.filter((check) => check.name === name);
  return { status, checks, named, names: checks.map(({ name }) => name) };
}

const MACHINE = ["node", "cpu", "memory", "clock", "llama.cpp", "gpu", "bundled pair"];

describe("doctor", () => {
  it("finds no problem in what the other tests run on", async () => {
    const { status, names, named } = await doctor();
    expect([status, names]).toEqual([0, MACHINE]);
    expect(named("llama.cpp")[0]).toMatchObject({
      status: "ok",
      detail: expect.stringMatching(/^@node-llama-cpp\/\S+ \d/),
    });
  });

  it("looks at a cloud and the way to it", async () => {
    const { status, names, named } = await doctor("--cloud", cloud.url, "--model", DRAFTER);
    expect(status).toBe(0);
    const link = ["address", "reach", "protocol", "target", "tokenizer", "round trip", "bandwidth"];
    expect(names).toEqual([...MACHINE, "model", ...link.map((name) => `cloud ${name}`)]);
    expect(named("cloud tokenizer")[0]!.status).toBe("ok");
    expect(named("cloud round trip")[0]!.detail).toMatch(/^median \d+\.\d ms of 24 pings/);
    expect(named("cloud bandwidth")[0]!.detail).toMatch(/^up .*, down /);
  });

  it("finds two models that can be a pair, and two that cannot", async () => {
    const pair = await doctor("--model", TARGET, "--model", DRAFTER);
    expect([pair.status, pair.named("pair")[0]!.status]).toEqual([0, "ok"]);
    const none = await doctor("--model", TARGET, "--model", OTHER);
    expect(none.named("pair")[0]).toMatchObject({
      status: "problem",
      detail: expect.stringMatching(
        /other\.gguf cannot be a pair: .* of different types: SPM in the drafter, BPE in the target/,
      ),
    });
    // They are no problem by themselves: the random one has no chat template.
    expect(none.named("model").map((check) => check.status)).toEqual(["ok", "warning"]);
  });

  it("finds what is wrong with each of several files, and goes on", async () => {
    const files = [TEXT, inFolder("none.gguf"), SHORT, STRANGE, folder, DRAFTER];
    const { named } = await doctor(...files.flatMap((file) => ["--model", file]));
    const models = named("model");
    expect(models.map((check) => check.status)).toEqual([...Array(5).fill("problem"), "ok"]);
    const patterns = [
      /text\.gguf is no GGUF file/,
      /no model file at .*none\.gguf/,
      /short\.gguf ends .* too early/,
      /cannot load .*strange\.gguf \(architecture zzzzz\)/,
      /is no file/,
    ];
    for (const [i, pattern] of patterns.entries()) expect(models[i]!.detail).toMatch(pattern);
  });

  it("finds a drafter that is not the target's", async () => {
    const { named, names } = await doctor("--cloud", cloud.url, "--model", OTHER);
    expect(named("cloud tokenizer")[0]).toMatchObject({
      status: "problem",
      detail: expect.stringContaining("of different types: SPM in the drafter, BPE in the target"),
    });
    expect(names.at(-1)).toBe("cloud bandwidth");
  });

  it("finds a port on which nothing listens, and looks no further", async () => {
    const { named, names } = await doctor("--cloud", "ws://127.0.0.1:1");
    expect(named("cloud reach")[0]).toMatchObject({
      status: "problem",
      detail: expect.stringContaining("ECONNREFUSED"),
    });
    expect(names.at(-1)).toBe("cloud reach");
  });

  it("finds an address that is none", async () => {
    const { named, names } = await doctor("--cloud", "localhost:4747");
    expect([named("cloud address")[0]!.status, names.at(-1)]).toEqual(["problem", "cloud address"]);
  });

  it("finds a server that is no cloud: without WebSockets, and with another protocol", async () => {
    const web = createServer((_, response) => void response.writeHead(200).end("hello"));
    const withoutSockets = await listening(web);
    const refused = await doctor("--cloud", withoutSockets.url);
    withoutSockets.close();
    expect(refused.named("cloud reach")[0]).toMatchObject({
      status: "problem",
      detail: expect.stringMatching(/the port answers, and no WebSocket opens/),
    });
    const server = createServer();
    new WebSocketServer({ server }).on("connection", (socket) => socket.send("hello"));
    const another = await listening(server);
    const garbage = await doctor("--cloud", another.url);
    another.close();
    expect(garbage.named("cloud reach")[0]!.status).toBe("ok");
    expect(garbage.named("cloud protocol")[0]).toMatchObject({ status: "problem" });
  });

  it("writes a line a check, advice on its own, and a summary", async () => {
    const { status, stdout } = await picospec(["doctor", "--model", TEXT]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^ok {7}node {13}\d+\.\d+\.\d+\n/);
    expect(stdout).toMatch(/\nproblem {2}model {12}.* is no GGUF file[\s\S]*?\n +to do: take a GGUF file/);
    expect(stdout).toMatch(/\n\n1 problem, (no|\d+) warnings?\n$/);
    expect(stdout).not.toContain("\u001b");
  });

  it("--help has examples", async () => {
    const { status, stdout } = await picospec(["doctor", "--help"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/Examples:\n {2}\$ picospec doctor/);
  });
});

/** On a free port of loopback. */
function listening(server: Server): Promise<{ url: string; close(): void }> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      const close = () => {
        server.close();
        server.closeAllConnections();
      };
      resolve({ url: `ws://127.0.0.1:${port}`, close });
    });
  });
}
