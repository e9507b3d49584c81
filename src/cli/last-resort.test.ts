import { expect, it } from "vitest";
import { type Log, SILENT_LOG } from "../util/log.ts";
import { faultCounter } from "./last-resort.ts";

/** A process with a fault every so many ms. */
function faults(count: number, everyMs: number) {
  const lines: string[] = [];
  let [nowMs, ended] = [0, 0];
  const error: Log["error"] = (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { ...SILENT_LOG, error };
  const fault = faultCounter({ log, nowMs: () => nowMs, end: () => ended++ });
  for (let i = 0; i < count; i++) {
    fault(new TypeError(`fault ${i}`));
    nowMs += everyMs;
  }
  return { lines, ended };
}

it("tells of each fault with its place and without its message, which may quote a prompt, and goes on", () => {
  const { lines, ended } = faults(49, 1);
  expect(ended).toBe(0);
  expect(lines).toHaveLength(49);
  expect(lines[0]).toMatch(/please report it \{"error":"TypeError","at":"\w.*last-resort\.test\.ts/);
  expect(lines.join()).not.toContain("fault 0");
});

it("goes on for ever where faults are rare, and ends where they come again and again", () => {
  expect(faults(500, 1300).ended).toBe(0);
  const { lines, ended } = faults(60, 1000);
  expect(ended).toBe(1);
  expect(lines.at(-1)).toBe("50 faults in 60 s: this process gives up {}");
});
