import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { cloudCommand } from "./cloud.ts";

const LONG = "0123456789abcdef";
/** No server is there: what is not refused before ends with ECONNREFUSED. */
const VLLM = ["--engine", "vllm", "--url", "http://127.0.0.1:1", "--port", "0"];
const serve = (...args: string[]) => cloudCommand().parseAsync([...VLLM, ...args], { from: "user" });

/** What a command listens for as long as its process lives. */
const EVENTS = ["uncaughtException", "unhandledRejection"] as const;

let folder: string;
let before: Map<string, readonly unknown[]>;
beforeEach(() => {
  before = new Map(EVENTS.map((name) => [name, process.listeners(name as "exit")]));
  folder = mkdtempSync(join(tmpdir(), "picospec-"));
});
afterEach(() => {
  for (const name of EVENTS) {
    for (const one of process.listeners(name as "exit")) {
      if (!before.get(name)!.includes(one)) process.off(name, one);
    }
  }
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function secretFile(secret: string): string[] {
  const file = join(folder, "secret");
  writeFileSync(file, `${secret}\n`);
  return ["--mailbox-secret-file", file];
}

describe("the mailbox's secret", () => {
  it("is the file's, whatever the environment has", async () => {
    vi.stubEnv("PICOSPEC_SECRET", LONG);
    await expect(serve(...secretFile("short"))).rejects.toThrow(/has 16 bytes or more/);
    vi.stubEnv("PICOSPEC_SECRET", "short");
    await expect(serve(...secretFile(LONG))).rejects.toThrow(/ECONNREFUSED/);
    await expect(serve()).rejects.toThrow(/has 16 bytes or more/);
  });

  it("is none where it is empty", async () => {
    const mailbox = ["--mailbox", "unix:/nowhere"];
    vi.stubEnv("PICOSPEC_SECRET", "");
    await expect(serve(...mailbox)).rejects.toThrow(/a mailbox wants its secret/);
    await expect(serve(...mailbox, ...secretFile(""))).rejects.toThrow(/a mailbox wants its secret/);
  });
});

describe("an option that does nothing with vllm is refused", () => {
  it.each([
    ["--kv-slots", "8", "kvSlots"],
    ["--sequences", "8", "kvSlots"],
    ["--quantum", "64", "quantumTokens"],
    ["--idle-after", "1000", "idleAfterMs"],
    ["--threads", "2", "threads"],
    ["--kv-type", "q8_0", "kvType"],
  ])("%s", async (flag, value, name) => {
    await expect(serve(flag, value)).rejects.toThrow(new RegExp(`^${name} does nothing with vllm`));
  });

  it("--shared-prefix", async () => {
    const file = join(folder, "prefix");
    writeFileSync(file, "You are helpful.");
    await expect(serve("--shared-prefix", file)).rejects.toThrow(/^sharedPrefix does nothing with vllm/);
  });

  it("and not where it was not given", async () => {
    await expect(serve()).rejects.toThrow(/ECONNREFUSED/);
  });
});
