import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { firstOnly, type HubFixture, half, startHub } from "../support/hub.ts";
import { BIN, DRAFTER, type Finished, finished, TARGET } from "../support/processes.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

/** `picospec models`, and names instead of files, in processes of their own. */

const NAME = "hf:owner/repo";
const FILE = "pico-Q8_0.gguf";
const MODEL = readFileSync(DRAFTER);
let hub: HubFixture;
let cache: string;

beforeAll(async () => {
  hub = await startHub();
  hub.files.set(FILE, MODEL);
});
afterAll(() => hub.close());
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "picospec-models-"));
  hub.asked.length = 0;
});
afterEach(() => {
  hub.onStorage = null;
  rmSync(cache, { recursive: true });
});

function start(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  const hubs = { PICOSPEC_CACHE: cache, PICOSPEC_HF_ENDPOINT: hub.endpoint, HF_TOKEN: "" };
  return spawn(process.execPath, [BIN, ...args], { env: { ...process.env, ...hubs, ...environment } });
}
const picospec = (args: readonly string[], environment?: Record<string, string>): Promise<Finished> =>
  finished(start(args, environment));
const models = (...args: string[]) => picospec(["models", ...args]);
const ranges = () => hub.asked.filter(({ server }) => server === "storage").map(({ range }) => range ?? null);

describe("picospec models", () => {
  it("pulls, lists, describes and removes a model", async () => {
    const { status, stdout, stderr } = await models("pull", NAME);
    expect([status, stderr], stderr).toEqual([
      0,
      expect.stringMatching(/^downloading pico-Q8_0\.gguf, [\d.]+ .B: 0%\n/),
    ]);
    const path = join(cache, "models", "owner", "repo", FILE);
    expect(stdout).toMatch(
      /^hf:owner\/repo:pico-Q8_0\.gguf: .*, downloaded\s+and\s+verified\s+by\s+size\s+and\s+sha256\n/,
    );
    expect(stdout.trim().split("\n").at(-1)).toBe(path);
    expect((await models("pull", NAME)).stdout).toMatch(/was here already/);

    const list = JSON.parse((await models("list", "--json")).stdout);
    expect(list.models).toEqual([
      expect.objectContaining({
        name: `${NAME}:${FILE}`,
        complete: true,
        quantisation: "Q8_0",
        verified: "sha256",
      }),
    ]);
    expect([list.folder, list.models[0].sizeBytes]).toEqual([join(cache, "models"), MODEL.length]);
    expect((await models("list")).stdout).toMatch(
      /^model +quantisation +size +date\nhf:owner\/repo:pico-Q8_0\.gguf +Q8_0 +[\d.]+ .B +\d{4}-\d\d-\d\d\n/,
    );

    const info = JSON.parse((await models("info", NAME, DRAFTER, "--json")).stdout);
    expect(info.pair).toEqual({ possible: true, problem: null });
    expect(info.models[0]).toMatchObject({
      path,
      architecture: "llama",
      quantisation: "Q8_0",
      chatTemplate: true,
    });
    const { name: _, path: __, ...rest } = info.models[1];
    expect(info.models[0]).toMatchObject(rest);

    expect((await models("rm", NAME)).stdout).toMatch(/^removed hf:owner\/repo:pico-Q8_0\.gguf/);
    const again = await models("rm", NAME);
    expect([again.status, again.stderr]).toEqual([
      1,
      expect.stringMatching(/hf:owner\/repo is not on this machine; /),
    ]);
    expect((await models("list")).stdout).toMatch(/^no models in /);
  });

  it("says what a file holds, and whether two can be a pair", async () => {
    const table = await models("info", DRAFTER, TARGET);
    expect(table.stdout).toMatch(
      /\narchitecture +llama +llama\nparameters .*\ntokenizer +(\S+) +\1\nchat template/s,
    );
    expect(table.stdout).toMatch(
      /They can be a pair: their\s+tokenizers\s+are\s+the\s+same, .*pico-drafter-q8_0\.gguf\s+is\s+the\s+smaller,\s+so\s+it\s+drafts\.\n$/s,
    );
    const other = join(cache, "other.gguf");
    const spm = { kind: "spm", vocabularySize: 600, layers: 1, seed: 1 } as const;
    writeRandomGguf(other, spm);
    const kinds = await models("info", other, DRAFTER);
    expect([kinds.status, kinds.stdout]).toEqual([
      0,
      expect.stringMatching(
        /cannot be a pair: their vocabularies are of different types: SPM in the\s+drafter, BPE in the\s+target\./,
      ),
    ]);
    const larger = join(cache, "larger.gguf");
    writeRandomGguf(larger, { ...spm, vocabularySize: 800, padding: 4 });
    const sizes = JSON.parse((await models("info", other, larger, "--json")).stdout);
    expect(sizes.pair).toEqual({
      possible: false,
      problem: expect.stringContaining("600 tokens in the drafter and 800 in the target"),
    });
    expect(sizes.models[1]).toMatchObject({
      realTokens: 800,
      vocabularySize: 804,
      layers: 1,
      chatTemplate: false,
    });
    expect(sizes.models[1].sizeBytes).toBe(statSync(larger).size);
  });

  it.each([
    [["pull"], /models pull takes one model, not 0/],
    [["list", "x"], /models list takes no model, not 1/],
    [["info", "a", "b", "c"], /models info takes one model or two, not 3/],
    [["info", NAME], /not on this machine; .*picospec models pull hf:owner\/repo downloads it/],
    [["info", "none.gguf"], /there is no model file at none\.gguf/],
    [["pull", "owner/repo"], /"owner\/repo" names no model: write hf:OWNER\/REPO/],
    [["pull", `${NAME}:q2_k`], /owner\/repo has no q2_k; it has pico-Q8_0\.gguf \(/],
    [["fly"], /Allowed choices are list, pull, rm, info/],
  ] as const)("%j ends in one clear line", async (args, message) => {
    const { status, stdout, stderr } = await models(...args);
    expect([status! > 0, stdout]).toEqual([true, ""]);
    expect(stderr).toMatch(message);
    expect(
      stderr
        .replace(/\(add --help.*\n/, "")
        .trim()
        .split("\n"),
    ).toHaveLength(1);
  });

  it("has examples", async () => {
    expect((await models("--help")).stdout).toMatch(/Examples:\n {2}\$ picospec models pull hf:/);
  });

  it("says that it needs the hub when there is none", async () => {
    const { status, stderr } = await picospec(["models", "pull", NAME], { PICOSPEC_HF_ENDPOINT: "nowhere" });
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/PICOSPEC_HF_ENDPOINT is no address of a hub: nowhere/),
    ]);
  });
});

describe("a download", () => {
  const BYTES = 100_000;

  it("that was killed goes on where it was", async () => {
    hub.onStorage = firstOnly(half(hub, BYTES, () => {}));
    const child = start(["models", "pull", NAME]);
    const part = join(cache, "models", "owner", "repo", `${FILE}.part`);
    const size = () => statSync(part, { throwIfNoEntry: false })?.size;
    await expect.poll(size, { timeout: 60_000 }).toBe(BYTES);
    child.kill("SIGKILL");
    await finished(child);
    expect((await models("list")).stdout).toMatch(/ 100\.0 KB of [\d.]+ .B /);
    const { status, stdout } = await models("pull", NAME);
    expect([status, stdout]).toEqual([0, expect.stringMatching(/verified\s+by\s+size\s+and\s+sha256/)]);
    expect(ranges()).toEqual([null, `bytes=${BYTES}-`]);
  });

  it("by two processes at once is one", async () => {
    let goOn = () => {};
    hub.onStorage = firstOnly(
      half(hub, BYTES, (response) => (goOn = () => response.end(MODEL.subarray(BYTES)))),
    );
    const first = start(["models", "pull", NAME]);
    const one = finished(first);
    await new Promise((resolve) => first.stderr!.once("data", resolve));
    const second = start(["models", "pull", NAME]);
    const other = finished(second);
    await new Promise((resolve) => second.stderr!.once("data", resolve));
    goOn();
    const [a, b] = [await one, await other];
    expect([a.status, b.status]).toEqual([0, 0]);
    expect(b.stderr).toMatch(/^another process is downloading pico-Q8_0\.gguf: waiting for it\n/);
    expect([a.stdout, b.stdout]).toEqual([
      expect.stringMatching(/downloaded/),
      expect.stringMatching(/here already/),
    ]);
    expect(ranges()).toEqual([null]);
  });
});

describe("a name instead of a file", () => {
  it("is downloaded by run once, and used offline from then on", async () => {
    const args = ["run", "Tell me a story.", "--policy", "edge", "--temperature", "0", "--max-tokens", "8"];
    const byFile = await picospec([...args, "--model", DRAFTER]);
    const byName = await picospec([...args, "--model", NAME]);
    expect(byName.stderr).toMatch(/^downloading pico-Q8_0\.gguf/);
    const offline = await picospec([...args, "--model", NAME], {
      PICOSPEC_HF_ENDPOINT: "http://127.0.0.1:9",
    });
    expect([byName.status, offline.status, offline.stderr]).toEqual([
      0,
      0,
      expect.not.stringMatching(/download/),
    ]);
    expect([byName.stdout, offline.stdout]).toEqual([byFile.stdout, byFile.stdout]);
  });

  it("is taken by cloud, plan and eval", async () => {
    const cloud = start(["cloud", "--model", NAME, "--port", "0", "--threads", "1", "--gpu", "off"]);
    const ended = finished(cloud);
    const url = await new Promise<string>((resolve) => {
      cloud.stdout!.on("data", (text) => {
        const match = /listening on (\S+)/.exec(String(text));
        if (match) resolve(match[1]!);
      });
    });
    const planned = await picospec(["plan", "--cloud", url, "--model", NAME, "--answers", "4", "--json"]);
    cloud.kill("SIGTERM");
    expect((await ended).stdout).toMatch(/^pico-Q8_0\.gguf: /);
    expect([planned.status, JSON.parse(planned.stdout).scenario.name], planned.stderr).toEqual([0, FILE]);
    const asked = ["--task", "story", "--n", "1", "--max-tokens", "8", "--policy", "cloud,race", "--json"];
    const evaluated = await picospec(["eval", "--target", NAME, "--model", NAME, ...asked]);
    expect([evaluated.status, JSON.parse(evaluated.stdout).results[1].sameText], evaluated.stderr).toEqual([
      0, 1,
    ]);
    expect(ranges()).toEqual([null]);
  });

  it.each([
    "run x",
    "cloud",
    "plan",
    "eval",
    "bench engine",
  ])("is what %s's help speaks of", async (command) => {
    const { stdout } = await picospec([...command.split(" "), "--help"]);
    expect(stdout).toMatch(/hf:owner\/repo\[:quant\]/);
  });
});
