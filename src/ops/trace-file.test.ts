import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { TRACE_LIMITS, TraceFile } from "./trace-file.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-trace-"));
afterAll(() => rmSync(folder, { recursive: true }));
const track = { pid: 1, tid: 2 };

interface Event {
  readonly name: string;
  readonly ph: string;
  readonly ts: number;
  readonly dur?: number;
  readonly args: Readonly<Record<string, unknown>>;
}
const read = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Event[];

describe("a trace", () => {
  it("is JSON with spans and moments in microseconds since 1970, by the origin", () => {
    const path = join(folder, "a.json");
    const file = new TraceFile(path, { originMs: 1000 });
    file.name(track, "thread_name", "answer 2");
    file.span(track, "draft", 1.5, 3.25, { position: 7 });
    file.instant(track, "rollback", 4);
    file.close();
    file.close();
    expect(read(path)).toEqual([
      { name: "thread_name", ph: "M", ...track, args: { name: "answer 2" } },
      { name: "draft", ph: "X", ts: 1_001_500, dur: 1750, ...track, args: { position: 7 } },
      { name: "rollback", ph: "i", ts: 1_004_000, s: "t", ...track, args: {} },
    ]);
  });

  it("has so many events at most, and says how many more there were", () => {
    const path = join(folder, "b.json");
    const file = new TraceFile(path, { originMs: 0, mostEvents: 10 });
    for (let i = 0; i < 25; i++) file.instant(track, "x", i);
    file.close();
    const events = read(path);
    expect(events).toHaveLength(11);
    expect(events.at(-1)).toMatchObject({
      name: "cut: events are missing",
      args: { mostEvents: 10, dropped: 15 },
    });
  });

  it("is on the disk as it comes: a process that dies takes a buffer's worth along, and viewers read the rest", () => {
    const path = join(folder, "c.json");
    const file = new TraceFile(path, { originMs: 0 });
    for (let i = 0; i < 5000; i++) file.instant(track, "x", i, { name: "y".repeat(40) });
    const text = readFileSync(path, "utf8");
    expect(text.length).toBeGreaterThan(5000 * 100 - TRACE_LIMITS.bufferedUnits);
    const whole = `${text.slice(0, text.lastIndexOf("}},") + 2)}]`;
    expect((JSON.parse(whole) as Event[]).length).toBeGreaterThan(3000);
    file.close();
    expect(read(path)).toHaveLength(5000);
  });

  it("is refused where it cannot be written", () => {
    expect(() => new TraceFile(join(folder, "no/such/folder.json"), { originMs: 0 })).toThrow(
      /cannot write .*ENOENT/,
    );
  });
});
