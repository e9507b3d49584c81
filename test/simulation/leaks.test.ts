import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { LEAKS } from "../fuzz/leak-list.ts";
import { type Inside, type Leak, tryLeak, unharmed } from "../fuzz/leaks.ts";
import { LEAST_SHARE, leakProblems } from "../fuzz/leaks-command.ts";
import { listProblems, owners, ownersIn } from "../fuzz/owners.ts";

/** The short form of `npm run leaks`, which tries 400 seeds of each leak. */

/** Each leak is caught in a tenth of these: the rarest is in a tenth of 400. */
const SEEDS = 120;
/** Where every one of them has to agree: the fault search has its own tests. */
const FEW = 30;
const names = [...new Set(LEAKS.map(({ owner }) => owner.name))];

describe("planted leaks", () => {
  it("are listed for every owner that checks itself", () => {
    expect(listProblems(names, owners("."))).toEqual([]);
    expect(names.length).toBeGreaterThan(25);
  });

  it("control: an owner without one is seen, and one that is gone", () => {
    const text = "export class New {\n  checkIntegrity() {}\n}\nclass Own {\n  checkIntegrity() {}\n}";
    expect(ownersIn(text)).toEqual(["New"]);
    const problems = ["New has no planted leak: add one", "Edge is no owner: remove its leak"];
    expect(listProblems(["Edge"], ownersIn(text))).toEqual(problems);
  });

  it("are not what the searches find anyway", async () => {
    expect(await unharmed(FEW)).toEqual([]);
  });

  it.each(LEAKS.map((leak) => [nameOf(leak), leak] as const))("are caught: %s", async (_, leak) => {
    const enough = SEEDS * LEAST_SHARE;
    const caught = await tryLeak(leak, { seeds: SEEDS, suffix: "", enough });
    expect(leakProblems({ ...caught, tried: SEEDS })).toEqual([]);
  });

  it("control: a plant that harms nothing is not caught", async () => {
    const { owner, what, world } = LEAKS[0]!;
    const harmless = {
      owner,
      what,
      world,
      method: "finish",
      instead: (_: Inside, real: (...args: Inside[]) => Inside, args: Inside[]) => real(...args),
    };
    const caught = await tryLeak(harmless as Leak, { seeds: 10, suffix: "" });
    expect([caught.seeds, leakProblems(caught)]).toEqual([
      [],
      [expect.stringContaining("caught in 0 of 10")],
    ]);
  });

  it("are caught in the same seeds when every private member of src has another name", () => {
    const args = ["scripts/leaks.mjs", "--renamed", "--owner", "ParallelDrafter", "--seeds", `${FEW}`];
    const said = execFileSync(process.execPath, args, { encoding: "utf8" });
    expect(said).toMatch(/renamed \d{3} private members in \d{4} places/);
    expect(said).toContain("1 leaks planted, 0 problems");
  });
});

function nameOf({ owner, what }: Leak): string {
  return `${owner.name}: ${what}`;
}
