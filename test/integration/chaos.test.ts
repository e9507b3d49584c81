import { describe, expect, it } from "vitest";
import { chaos } from "../chaos/chaos.ts";

describe("links that drop, stall and reset", () => {
  it("change no text, and lose none", async () => {
    const report = await chaos({ generations: 24, edges: 2, seed: 1, reconnectSeconds: 60 }, console.log);
    expect(report).toMatchObject({ right: 24, wrong: 0, failed: 0 });
    expect(report.faults.drop + report.faults.reset).toBeGreaterThan(5);
  }, 300_000);

  it("control: lose some where no link is made anew, and change none", async () => {
    const report = await chaos({ generations: 24, edges: 2, seed: 1, reconnectSeconds: 0 }, console.log);
    expect(report.wrong).toBe(0);
    expect(report.failed).toBeGreaterThan(0);
  }, 300_000);
});
