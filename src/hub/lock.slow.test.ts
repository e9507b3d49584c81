import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { TestClock } from "../../test/support/hub.ts";
import { acquireLock, type Lock, type LockOptions } from "./lock.ts";
import { HUB_LIMITS } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-lock-"));
const path = join(folder, "lock");
/** for a machine that has much else to do; an event ends it */
const PATIENT = { timeout: 60_000 };
const isPoll = (ms: number) => ms === HUB_LIMITS.lockPollMs;
const options = (id: string, more: Partial<LockOptions> = {}): LockOptions => ({
  ...{ id, limits: HUB_LIMITS, clock: new TestClock(isPoll), waitMs: 3_600_000 },
  ...more,
});
const owner = (pid: number, host: string) => JSON.stringify({ pid, host, id: "other", beat: "0" });

afterEach(() => rmSync(path, { force: true }));

describe("a lock", () => {
  it("is held by one at a time, and the next has it when it is released", async () => {
    const first = await acquireLock(path, options("a"));
    // Moved by hand: with no time gone by, the first is not taken for dead.
    const clock = new TestClock(() => false);
    let got: Lock | null = null;
    let told = 0;
    const waiting = acquireLock(path, options("b", { clock, waiting: () => void told++ }));
    void waiting.then((lock) => (got = lock));
    await expect.poll(() => told, PATIENT).toBe(1);
    expect([await first.held(), got]).toEqual([true, null]);
    await first.release();
    await expect.poll(() => clock.advance(HUB_LIMITS.lockPollMs) ?? got, PATIENT).not.toBeNull();
    const lock = await waiting;
    expect([await first.held(), await lock.held()]).toEqual([false, true]);
    await lock.release();
    expect(existsSync(path)).toBe(false);
  });

  it("is refused at once to who does not wait, by the process that has it", async () => {
    const lock = await acquireLock(path, options("a"));
    const refused = acquireLock(path, options("b", { waitMs: 0 }));
    await expect(refused).rejects.toThrow(`process ${process.pid} is downloading this model`);
    await expect(refused).rejects.toMatchObject({ code: "busy" });
    await lock.release();
  });

  it("of a process that ended here is taken over at once", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(path, owner(pid, hostname()));
    const clock = new TestClock(isPoll);
    const lock = await acquireLock(path, options("a", { clock }));
    expect([clock.nowMs(), await lock.held()]).toEqual([0, true]);
    await lock.release();
  });

  it.each([
    "another machine's",
    "unowned",
  ])("of %s that is silent is taken over after 30 s", async (whose) => {
    writeFileSync(path, whose === "unowned" ? "" : owner(1, "elsewhere"));
    const clock = new TestClock(isPoll);
    const lock = await acquireLock(path, options("a", { clock }));
    expect(clock.nowMs()).toBe(30_000);
    await lock.release();
  });

  it("of a new holder, who came in just when the old one was found dead, is left alone", async () => {
    writeFileSync(path, owner(1, "elsewhere"));
    class Swapping extends TestClock {
      private swapped = false;
      override nowMs() {
        if (super.nowMs() >= HUB_LIMITS.staleMs && !this.swapped) {
          this.swapped = true;
          rmSync(path);
          writeFileSync(path, owner(2, "elsewhere"));
        }
        return super.nowMs();
      }
    }
    const waiting = acquireLock(path, options("a", { clock: new Swapping(isPoll), waitMs: 40_000 }));
    await expect(waiting).rejects.toMatchObject({ code: "busy" });
    expect(readFileSync(path, "utf8")).toBe(owner(2, "elsewhere"));
  });

  it("whose taking over died in the middle is taken over after a minute", async () => {
    writeFileSync(path, owner(1, "elsewhere"));
    writeFileSync(`${path}.takeover`, "");
    const clock = new TestClock(isPoll);
    const lock = await acquireLock(path, options("a", { clock }));
    expect([clock.nowMs(), existsSync(`${path}.takeover`)]).toEqual([60_000, false]);
    await lock.release();
  });

  it("of another machine that shows signs of life is not: the control", async () => {
    writeFileSync(path, owner(1, "elsewhere"));
    class Beating extends TestClock {
      override schedule(atMs: number, callback: () => void) {
        writeFileSync(path, owner(1, "elsewhere").replace('"0"', `"${this.nowMs()}"`));
        return super.schedule(atMs, callback);
      }
    }
    const clock = new Beating(isPoll);
    const waiting = acquireLock(path, options("a", { clock, waitMs: 120_000 }));
    await expect(waiting).rejects.toMatchObject({ code: "busy" });
    expect(clock.nowMs()).toBe(120_000);
  });

  it("shows signs of life while it is held, and none after", async () => {
    const clock = new TestClock(isPoll);
    const lock = await acquireLock(path, options("a", { clock }));
    const before = readFileSync(path, "utf8");
    clock.advance(HUB_LIMITS.beatMs);
    await expect.poll(() => readFileSync(path, "utf8"), PATIENT).not.toBe(before);
    await lock.release();
    clock.advance(10 * HUB_LIMITS.beatMs);
    expect(existsSync(path)).toBe(false);
  });

  it("that was taken over is not the first holder's to release", async () => {
    const lock = await acquireLock(path, options("a"));
    writeFileSync(path, owner(1, "elsewhere"));
    expect(await lock.held()).toBe(false);
    await lock.release();
    expect(existsSync(path)).toBe(true);
  });

  it("of a dead holder is given to one of many who want it at once, in 50 rounds", async () => {
    for (let round = 0; round < 50; round++) {
      writeFileSync(path, owner(1, "elsewhere"));
      const clock = new TestClock(isPoll);
      let held = 0;
      let most = 0;
      const one = async (_: unknown, number: number) => {
        const lock = await acquireLock(path, options(`r${round}w${number}`, { clock }));
        // From here on no holder is dead: a holder that this machine keeps waiting must not look so.
        clock.frozen = true;
        most = Math.max(most, ++held);
        await lock.held();
        held--;
        await lock.release();
      };
      await Promise.all(Array.from({ length: 6 }, one));
      expect(most).toBe(1);
    }
  }, 60_000);
});
