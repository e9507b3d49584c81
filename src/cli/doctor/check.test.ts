import pc from "picocolors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bounded, checkText, ok, problem, verdict, warning } from "./check.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a bounded check", () => {
  it("says what its work says", async () => {
    expect(await bounded("x", 1000, () => ok("x", "fine"))).toEqual(ok("x", "fine"));
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is a problem when it takes too long, and tells the work to give up", async () => {
    let signal: AbortSignal | null = null;
    const check = bounded("slow", 2000, (given) => {
      signal = given;
      return new Promise(() => {});
    });
    await vi.advanceTimersByTimeAsync(1999);
    expect(signal!.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await check).toMatchObject({ name: "slow", status: "problem", detail: "no result after 2 s" });
    expect(signal!.aborted).toBe(true);
  });

  it.each([
    ["rejects", () => Promise.reject(new Error("broken"))],
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
  ])("is a problem when its work %s", async (_, work) => {
    expect(await bounded("x", 1000, work)).toMatchObject({
      status: "problem",
      detail: "the check itself failed: broken",
    });
  });
});

describe("checks for a person", () => {
  it("have the advice on a line of its own", () => {
    const plain = pc.createColors(false);
    expect(checkText(ok("node", "20"), plain)).toBe("ok       node             20");
    expect(checkText(warning("memory", "little", "close something"), plain)).toBe(
      "warning  memory           little\n                          to do: close something",
    );
  });

  it("are one line", () => {
    expect(verdict([ok("a", "")])).toBe("no problems, no warnings");
    const all = [problem("a", "", ""), warning("b", "", ""), warning("c", "", "")];
    expect(verdict(all)).toBe("1 problem, 2 warnings");
  });
});
