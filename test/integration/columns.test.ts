import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { DRAFTER, picospec, startCloud, TARGET } from "../support/processes.ts";

/** What commands print besides answers fits a terminal of 80 columns. */

const COLUMNS = 80;
const cache = mkdtempSync(join(tmpdir(), "picospec-columns-"));
process.env.PICOSPEC_CACHE = cache;
afterAll(() => {
  delete process.env.PICOSPEC_CACHE;
  rmSync(cache, { recursive: true });
});

/** @param text paths of models are words that cannot be broken: they count as short ones */
function tooLong(text: string): string[] {
  const lines = text.replaceAll(TARGET, "target.gguf").replaceAll(DRAFTER, "drafter.gguf").split("\n");
  return lines.filter((line) => line.length > COLUMNS);
}

describe("within 80 columns", () => {
  it.each([
    "simulate --scenario laptop-gpu --answers 4 --edges 2",
    "simulate --scenario laptop-gpu --answers 4 --sweep rtt=10:30:10",
    "simulate --scenario laptop-gpu --timeline",
    "simulate --scenarios",
    "plan --scenario transatlantic --answers 4",
    "bench rows",
    "models list",
    `models info ${TARGET} ${DRAFTER}`,
    `doctor --model ${TARGET} --model ${DRAFTER}`,
    "eval --n 1 --max-tokens 4 --policy cloud,edge,picospec,race,vanilla",
  ])("%s", async (line) => {
    const { status, stdout, stderr } = await picospec(line.split(" "));
    expect([status, tooLong(stdout), tooLong(stderr)]).toEqual([0, [], []]);
  });

  it("the table of demo, with more policies than fit beside each other", async () => {
    const policies = "vanilla,picospec,race,picospec-no-parallel-drafting,picospec-no-fast-verification";
    const args = ["demo", "--hardware", "off", "--rtt", "0", "--max-tokens", "4", "--policy", policies];
    const { status, stdout, stderr } = await picospec(args);
    expect([status, tooLong(stdout), tooLong(stderr)]).toEqual([0, [], []]);
  });

  it("the start of a cloud, and the statistics of run and chat", async () => {
    // Lines of the log are as long as what they say, and on no terminal JSON.
    const cloud = await startCloud(["--hardware", "standard", "--log-level", "warn"]);
    const link = ["--cloud", cloud.url, "--model", DRAFTER, "--max-tokens", "4"];
    const run = await picospec(["run", "A story?", ...link]);
    const chat = await picospec(["chat", ...link], { stdin: "A story?\n/stats\n/help\n" });
    const served = await cloud.stop();
    for (const { stdout, stderr } of [run, chat, served]) {
      expect([tooLong(stdout), tooLong(stderr)]).toEqual([[], []]);
    }
    // Slow runs have more digits, and break the line elsewhere.
    expect(run.stderr).toMatch(/^\[race: .*seed\s+\d+\]\n$/s);
  });
});
