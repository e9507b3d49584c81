import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { StoredResponse } from "../api/openai/responses/store.ts";
import { type Log, SILENT_LOG } from "../util/log.ts";
import { ResponseFiles, type ResponseFilesOptions } from "./response-files.ts";

const DAY_MS = 24 * 3600 * 1000;

let root: string;
let folder: string;
let nowMs: number;
const opened: ResponseFiles[] = [];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "picospec-responses-"));
  folder = join(root, "store");
  nowMs = Date.now();
});
afterEach(() => {
  for (const files of opened.splice(0)) files.close();
  rmSync(root, { recursive: true });
});

function store(more: Partial<ResponseFilesOptions> = {}): ResponseFiles {
  const files = new ResponseFiles({ folder, days: 30, log: SILENT_LOG, nowMs: () => nowMs, ...more });
  opened.push(files);
  return files;
}
const stored = (id: string, owner = "me", text = "Hi"): StoredResponse => ({
  id,
  thread: {
    ...{ owner, createdSeconds: 5, previous: null, input: [{ id: "msg_1_0", type: "message", text }] },
    output: [{ id: "msg_1_1", type: "message", text: "two\nlines" }],
  },
  response: { id, object: "response", status: "completed" },
});

describe("responses on disk", () => {
  it("are read again, also by the next process, and deleted", async () => {
    const one = stored("resp_1");
    await store().put(one);
    const files = store();
    expect(await files.get("resp_1", "me")).toEqual(one);
    expect(await files.thread("resp_1", "me")).toEqual(one.thread);
    expect(await files.delete("resp_1", "me")).toBe(true);
    expect([await files.get("resp_1", "me"), await files.delete("resp_1", "me")]).toEqual([null, false]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("are for the user and for the key that made them alone", async () => {
    const files = store();
    await files.put(stored("resp_1"));
    const path = join(folder, "resp_1.json");
    if (process.platform !== "win32") {
      expect([statSync(folder).mode & 0o777, statSync(path).mode & 0o777]).toEqual([0o700, 0o600]);
    }
    expect([await files.get("resp_1", "other"), await files.thread("resp_1", "other")]).toEqual([null, null]);
    expect(await files.delete("resp_1", "other")).toBe(false);
    expect(existsSync(path)).toBe(true);
  });

  it.runIf(process.platform !== "win32")("are not put where others may read", () => {
    store();
    chmodSync(folder, 0o750);
    expect(() => store()).toThrow(/others may read .*: chmod 700 it, or give another folder/);
    chmodSync(folder, 0o700);
    writeFileSync(join(root, "file"), "");
    expect(() => store({ folder: join(root, "file", "x") })).toThrow(
      /cannot use .*ENOTDIR.*folder of your own/,
    );
  });

  it("have names that lead nowhere else", async () => {
    const files = store();
    writeFileSync(join(root, "secret.json"), JSON.stringify(stored("x").thread));
    for (const id of ["../secret", "resp_../secret", "", "resp_", "resp_a/b", "resp_a\0"]) {
      await files.put(stored(id));
      expect([await files.get(id, "me"), await files.delete(id, "me")]).toEqual([null, false]);
    }
    expect(readdirSync(folder)).toEqual([]);
    expect(existsSync(join(root, "secret.json"))).toBe(true);
  });

  it("are removed when they are old", async () => {
    const files = store({ days: 2 });
    await files.put(stored("resp_1"));
    nowMs += DAY_MS;
    await files.put(stored("resp_2"));
    nowMs += 1.5 * DAY_MS;
    expect(await files.get("resp_1", "me")).toBe(null);
    expect(await files.get("resp_2", "me")).not.toBe(null);
    expect(readdirSync(folder)).toEqual(["resp_2.json"]);
    const oldSeconds = (nowMs - 3 * DAY_MS) / 1000;
    utimesSync(join(folder, "resp_2.json"), oldSeconds, oldSeconds);
    files.sweep();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("have a bound of bytes: the oldest make way", async () => {
    const files = store({ mostBytes: 3000 });
    for (const name of ["resp_1", "resp_2", "resp_3"]) {
      await files.put(stored(name, "me", "x".repeat(1000)));
      nowMs += 1000;
    }
    expect(readdirSync(folder).sort()).toEqual(["resp_2.json", "resp_3.json"]);
    await files.put(stored("resp_4", "me", "x".repeat(5000)));
    expect(readdirSync(folder)).toEqual([]);
  });

  it("are whole or not there: what a process left is removed, and what is broken is told without its text", async () => {
    const told: unknown[] = [];
    const log: Log = { ...SILENT_LOG, error: (fields, message) => told.push([fields, message]) };
    const files = store({ log });
    await files.put(stored("resp_1"));
    writeFileSync(join(folder, "resp_1.json"), '{"secret": ');
    expect(await files.get("resp_1", "me")).toBe(null);
    expect(told).toEqual([[{ reason: "its text is broken" }, "a stored response could not be read"]]);
    const left = join(folder, "resp_2.json.abc.new");
    writeFileSync(left, "half");
    writeFileSync(join(folder, "notes.txt"), "the user's own");
    files.sweep();
    expect(existsSync(left)).toBe(true);
    const oldSeconds = (nowMs - 2 * 3600 * 1000) / 1000;
    utimesSync(left, oldSeconds, oldSeconds);
    files.sweep();
    expect(readdirSync(folder).sort()).toEqual(["notes.txt", "resp_1.json"]);
  });

  it.runIf(process.platform !== "win32")("follow no link that another has put there", async () => {
    const files = store();
    const target = join(root, "target");
    writeFileSync(target, "mine");
    symlinkSync(target, join(folder, "resp_1.json"));
    await files.put(stored("resp_1"));
    expect(readFileSync(target, "utf8")).toBe("mine");
    expect(await files.get("resp_1", "me")).toEqual(stored("resp_1"));
  });

  it("that cannot be written cost no answer, and are told", async () => {
    const told: unknown[] = [];
    const files = store({ log: { ...SILENT_LOG, error: (fields, message) => told.push([fields, message]) } });
    rmSync(folder, { recursive: true });
    await files.put(stored("resp_1"));
    expect(told).toEqual([[{ reason: "ENOENT" }, "a response could not be stored"]]);
  });
});
