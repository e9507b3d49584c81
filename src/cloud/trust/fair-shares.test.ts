import { describe, expect, it } from "vitest";
import { FairShares } from "./fair-shares.ts";

/** Long after those that left at 0. */
const NOW_MS = 10_000;

const served = (shares: FairShares, principal: string) => shares.shares(NOW_MS).get(principal)?.served;

describe("FairShares", () => {
  it("counts tokens over the weight", () => {
    const shares = new FairShares();
    shares.enter("light", 1);
    shares.enter("heavy", 4);
    shares.charge("light", 100);
    shares.charge("heavy", 100);
    expect([served(shares, "light"), served(shares, "heavy")]).toEqual([100, 25]);
  });

  it("starts one that comes no lower than the lowest of those that are there", () => {
    const shares = new FairShares();
    shares.enter("a", 1);
    shares.enter("b", 1);
    shares.charge("a", 500);
    shares.charge("b", 300);
    shares.enter("late", 1);
    expect(served(shares, "late")).toBe(300);
  });

  it("does not clear the counter of one that leaves and comes back", () => {
    const shares = new FairShares();
    shares.enter("quiet", 1);
    shares.enter("greedy", 1);
    shares.charge("greedy", 1000);
    shares.leave("greedy", 0);
    expect(served(shares, "greedy")).toBeUndefined();
    shares.checkIntegrity(false);
    shares.enter("greedy", 1);
    expect(served(shares, "greedy")).toBe(1000);
  });

  it("counts one that has left as present for a moment", () => {
    const shares = new FairShares();
    shares.enter("greedy", 1);
    shares.enter("modest", 1);
    shares.leave("modest", 0);
    expect([...shares.shares(NOW_MS - 1).keys()]).toEqual(["greedy", "modest"]);
    expect([...shares.shares(NOW_MS).keys()]).toEqual(["greedy"]);
  });

  it("lets a quiet one save up so much credit and no more", () => {
    const shares = new FairShares();
    shares.enter("quiet", 1);
    shares.enter("busy", 1);
    for (let i = 0; i < 100; i++) shares.charge("busy", 1000);
    expect(served(shares, "busy")! - served(shares, "quiet")!).toBe(4096);
  });

  it("keeps a bounded number of those that left, and none when all have", () => {
    const shares = new FairShares();
    shares.enter("stays", 1);
    for (let i = 0; i < 3000; i++) {
      shares.enter(`p${i}`, 1);
      shares.charge(`p${i}`, 10);
      shares.leave(`p${i}`, 0);
      shares.shares(NOW_MS);
    }
    shares.checkIntegrity(false);
    shares.leave("stays", 0);
    shares.checkIntegrity(true);
  });
});
