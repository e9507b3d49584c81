import { describe, expect, it } from "vitest";
import { Turnstile } from "./turnstile.ts";

const never = new AbortController().signal;

/** Who is in, in the order in which they came in. */
function visit(turnstile: Turnstile, log: string[], name: string, places: number, signal = never): void {
  turnstile.enter(places, signal).then(
    () => log.push(name),
    (error) => log.push(`${name}: ${error.code}`),
  );
}
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("a turnstile", () => {
  it("lets in who fits, and others in their order, also where a later one would fit", async () => {
    const turnstile = new Turnstile(3, 10);
    const log: string[] = [];
    visit(turnstile, log, "a", 2);
    visit(turnstile, log, "b", 2);
    visit(turnstile, log, "c", 1);
    await settled();
    expect([log, turnstile.inside, turnstile.waiting]).toEqual([["a"], 2, 2]);
    turnstile.leave(2);
    await settled();
    expect([log, turnstile.inside, turnstile.waiting]).toEqual([["a", "b", "c"], 3, 0]);
  });

  it("turns away who can never fit, and who comes when too many wait", async () => {
    const turnstile = new Turnstile(1, 1);
    const log: string[] = [];
    visit(turnstile, log, "large", 2);
    visit(turnstile, log, "a", 1);
    visit(turnstile, log, "b", 1);
    visit(turnstile, log, "c", 1);
    await settled();
    expect(log.sort()).toEqual(["a", "c: full", "large: too_many"]);
  });

  it("forgets who has gone, and lets in the one that it held up", async () => {
    const turnstile = new Turnstile(2, 10);
    const log: string[] = [];
    const patience = new AbortController();
    visit(turnstile, log, "a", 1);
    visit(turnstile, log, "b", 2, patience.signal);
    visit(turnstile, log, "c", 1);
    patience.abort();
    await settled();
    expect(log.sort()).toEqual(["a", "b: gone", "c"]);
    expect([turnstile.inside, turnstile.waiting]).toEqual([2, 0]);
    visit(turnstile, log, "d", 1, patience.signal);
    await settled();
    expect(log).toContain("d: gone");
  });
});
