import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { BIN, DRAFTER, finished, picospec, startCloud, startEdge, TARGET } from "../support/processes.ts";

/** Exit statuses of every command: 0, 1 for a failure, 2 for a wrong command line, 130 for an interrupt. */

/** No cloud listens there: the port is reserved. */
const NO_CLOUD = "ws://127.0.0.1:1";
const COMMANDS = "demo cloud edge run chat doctor plan simulate bench eval models".split(" ");

const USAGE = [
  ...COMMANDS.map((name) => `${name} --no-such-option`),
  ...["fly", "demo --rtt fast", "demo --hardware warp", "demo --policy none", "demo --max-tokens 0"],
  ...["cloud", `cloud --model ${TARGET} --port 70000`, `cloud --model ${TARGET} --threads 0`],
  `edge --cloud ${NO_CLOUD} --drafter lookup --offline edge`,
  ...["edge", `edge --model ${DRAFTER}`, `edge --cloud ${NO_CLOUD}`, "edge --policy edge"],
  ...["run", "run x", `run x --cloud ${NO_CLOUD}`, `run x --model ${DRAFTER}`, "run x --seed soon"],
  ...["run x --temperature -1", "chat", `chat --model ${DRAFTER}`, "chat --gpu maybe"],
  ...[
    "plan",
    `plan --cloud ${NO_CLOUD}`,
    `plan --scenario laptop-gpu --cloud ${NO_CLOUD}`,
    "plan --scenario nowhere",
  ],
  ...[
    "simulate --scenario nowhere",
    "simulate --set rtt=fast",
    "simulate --set speed=1",
    "simulate --sweep rtt",
  ],
  ...["simulate --json --csv", "simulate --timeline --edges 2", "simulate --edges 10000 --answers 100000"],
  ...["bench everything", "bench grid --cells tiny", "eval --task riddles", "eval --n 0"],
  ...["models", "models burn", "models list x", "models pull", "models info a b c", "models pull none.gguf"],
];

const FAILURE = [
  "cloud --model none.gguf",
  ...["run x", "chat"].map((name) => `${name} --cloud ${NO_CLOUD} --model ${DRAFTER} --reconnect 0`),
  `run x --cloud ${NO_CLOUD} --model ${DRAFTER} --reconnect 1 --offline wait`,
  `edge --cloud localhost --model ${DRAFTER}`,
  ...["edge", "run x", "chat"].map((name) => `${name} --model none.gguf --policy edge`),
  `plan --cloud ${NO_CLOUD} --model ${DRAFTER}`,
  ...["doctor --model none.gguf", `doctor --cloud ${NO_CLOUD}`],
  ...["simulate --scenario ./none.json", "simulate --scenario ./package.json", "plan --scenario ./none.json"],
  ...["bench engine --model none.gguf", "eval --target none.gguf", "models info none.gguf"],
  "models rm hf:none/none",
];

/**
 * Runs command lines one after the other in one process, since a start costs more than all of them. What each
 * prints to stderr is kept apart; the process prints [status, stderr][] as JSON at its end.
 */
const MANY = `
import { main } from ${JSON.stringify(pathToFileURL(resolve("dist/src/cli/main.js")).href)};
process.stdout.setMaxListeners(0);
const print = process.stdout.write.bind(process.stdout);
process.stdout.write = () => true;
const all = [];
for (const line of JSON.parse(process.argv[1])) {
  let stderr = "";
  process.stderr.write = (text) => { stderr += text; return true; };
  all.push([await main(line.split(" ")), stderr]);
}
print(JSON.stringify(all), () => process.exit(0));
`;

async function statusesOf(lines: readonly string[]): Promise<[status: number, stderr: string][]> {
  const args = ["--input-type=module", "-e", MANY, JSON.stringify(lines)];
  const { stdout } = await finished(spawn(process.execPath, args, { timeout: 120_000 }));
  return JSON.parse(stdout);
}

describe("a wrong command line ends with 2, and says what is wrong", () => {
  const wrong = { status: 2, stderr: expect.stringMatching(/^(error|picospec|Usage): \S/m) };
  const ends = new Map<string, { status: number; stderr: string }>();
  beforeAll(async () => {
    const all = await statusesOf(USAGE);
    for (const [i, [status, stderr]] of all.entries()) ends.set(USAGE[i]!, { status, stderr });
  });

  it.each(USAGE)("picospec %s", (line) => {
    expect(ends.get(line)).toEqual(wrong);
  });

  it.each(["run --no-such-option", "edge", "simulate --set rtt=fast"])("as a process: %s", async (line) => {
    const { status, stderr } = await picospec(line.split(" "));
    expect({ status, stderr }).toEqual(wrong);
    expect(stderr).toBe(ends.get(line)!.stderr);
  });

  it("control: another status is seen", async () => {
    expect(await statusesOf(["simulate --scenarios", "models rm hf:none/none"])).toEqual([
      [0, ""],
      [1, expect.stringMatching(/^picospec: /)],
    ]);
  });
});

describe("a failure ends with 1", () => {
  it.each(FAILURE)("picospec %s", async (line) => {
    const { status, stdout, stderr } = await picospec(line.split(" "));
    expect([status, stderr + stdout]).toEqual([1, expect.stringMatching(/^(picospec:|problem) /m)]);
    expect(stderr).not.toMatch(/should not happen/);
  });
});

/** As a shell sees it: 128 and the number of the signal that ended a program. */
function shellStatus(child: ChildProcess): Promise<number | null> {
  return new Promise((done) => {
    child.once("close", (status, signal) => done(signal === "SIGINT" ? 130 : status));
  });
}

/** Says on stderr that the program is about to run. */
const STARTED = "data:text/javascript,console.error('started')";

describe("SIGINT ends with 130", () => {
  it.each([
    "demo --hardware standard",
    "eval --n 100 --hardware standard",
    "bench scale",
    "simulate --answers 100000",
    "plan --scenario transatlantic --answers 10000",
    `cloud --model ${TARGET} --port 0`,
  ])("picospec %s", async (line) => {
    const child = spawn(process.execPath, ["--import", STARTED, BIN, ...line.split(" ")]);
    child.stderr.once("data", () => child.kill("SIGINT"));
    expect(await shellStatus(child)).toBe(130);
  });

  it("demo and chat while they answer", async () => {
    const cloud = await startCloud(["--hardware", "standard"]);
    const chat = ["chat", "--cloud", cloud.url, "--model", DRAFTER, "--policy", "cloud"];
    for (const args of [["demo"], chat]) {
      const child = spawn(process.execPath, [BIN, ...args]);
      child.stdin.write("Tell me a story about a frog and a lantern.\n");
      child.stdout.once("data", () => child.kill("SIGINT"));
      expect(await shellStatus(child)).toBe(130);
    }
    await cloud.stop();
  });

  it("a cloud and an edge that serve, when all is closed; SIGTERM ends them with 0", async () => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const cloud = await startCloud();
      const edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER]);
      const statuses = [(await edge.stop(signal)).status, (await cloud.stop(signal)).status];
      expect(statuses).toEqual(signal === "SIGINT" ? [130, 130] : [0, 0]);
    }
  });
});

describe("a reader that has seen enough", () => {
  it.each([
    "simulate --scenarios",
    "bench --help",
    "demo --hardware off --rtt 0",
  ])("ends picospec %s with 0", async (line) => {
    const child = spawn(process.execPath, [BIN, ...line.split(" ")]);
    child.stdout.once("data", () => child.stdout.destroy());
    expect((await finished(child)).status).toBe(0);
  });
});
