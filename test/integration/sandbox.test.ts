import { existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runFunction } from "../../lab/bench/sandbox.ts";
import { functionIn } from "../../lab/tasks/check.ts";
import { drawTask } from "../../lab/tasks/draw.ts";

/** Functions that a model wrote are run where they can do no harm, and judged by what they return. */

const double = [
  { args: [2], result: 4 },
  { args: [-1], result: -2 },
];
const run = (body: string, cases: readonly { args: readonly unknown[]; result: unknown }[] = double) =>
  runFunction(`function f(x: number): number {\n  ${body}\n}`, "f", cases);

describe("a function", () => {
  it("is right when every result is", async () => {
    expect(await run("return x * 2;")).toEqual({ right: true, why: "" });
    expect((await run("return x * x;")).why).toBe("f(-1) is -2, not 1");
    expect((await run("return String(x * 2) as unknown as number;")).why).toBe('f(2) is 4, not "4"');
    expect((await run("")).why).toBe("f(2) is 4, not null");
  });

  it("of each kind passes its own tests, and not those of another", async () => {
    let other = 0;
    for (let number = 0; number < 60; number++) {
      const task = drawTask("code", number % 2 ? "held-out" : "training", 5, number);
      if (task.check.kind !== "function") throw new Error("a code task has a function");
      const { cases } = task.check;
      const { name, code } = functionIn(task.answer, task.check.name)!;
      expect(await runFunction(code, name, cases), task.answer).toEqual({ right: true, why: "" });
      const swapped = cases.map(({ args }, i) => ({ args, result: cases[(i + 1) % cases.length]!.result }));
      if (!(await runFunction(code, name, swapped)).right) other++;
    }
    expect(other).toBe(60);
  });

  it("may be exported, or an arrow function", async () => {
    expect((await runFunction("export function f(x: number) { return 2 * x; }", "f", double)).right).toBe(
      true,
    );
    expect((await runFunction("export const f = (x: number): number => 2 * x;", "f", double)).right).toBe(
      true,
    );
  });

  it("that is no TypeScript, or is not there, or throws, is wrong and says why", async () => {
    expect((await runFunction("function f(x: number): {", "f", double)).why).toMatch(/not TypeScript/);
    expect((await runFunction("function g() {}", "f", double)).why).toBe("f is not defined");
    expect((await run('throw new Error("no");')).why).toBe("no");
    expect((await run("throw null;")).right).toBe(false);
  });

  it("that does not end, or takes all memory, is ended", async () => {
    expect((await run("for (;;) {}")).why).toMatch(/timed out/);
    expect((await run("const a: number[][] = []; for (;;) a.push(new Array(1e6).fill(x));")).right).toBe(
      false,
    );
    expect((await run('return "x".repeat(5_000_000) as unknown as number;')).right).toBe(false);
    expect((await run("(async () => { await 0; for (;;) {} })(); return 2 * x;")).why).toMatch(/timed out/);
    expect((await run("const a = []; for (;;) a.push(new Uint8Array(1e8).fill(1));")).why).toMatch(
      /Uint8Array is not defined/,
    );
  });
});

describe("the sandbox", () => {
  const reached = async (expression: string) => (await run(`return (${expression}) as number;`)).why;

  it("has nothing of Node in it", async () => {
    for (const global of [
      "process",
      "require",
      "fetch",
      "setTimeout",
      "Buffer",
      "WebSocket",
      "performance",
    ]) {
      expect(await reached(`typeof ${global}`), global).toBe('f(2) is 4, not "undefined"');
    }
  });

  it("does not let code out by a constructor, an import or an error", async () => {
    expect(await reached('this.constructor.constructor("return process")()')).toMatch(
      /not defined|undefined|disallowed|Code generation/,
    );
    expect(await reached('(() => {}).constructor("return 1")()')).toMatch(/Code generation/);
    expect(await reached('eval("1")')).toMatch(/Code generation/);
    // A promise: it never resolves to a module, for there is no loader.
    expect(await reached('import("node:fs")')).not.toBe("");
    // An object that would like to be called from outside: only a string is taken.
    const trap = "({ message: 1, toString() { for (;;); } })";
    expect((await run(`throw ${trap};`)).why).toBe("1");
    expect(
      (await run(`Object.defineProperty(x, "toJSON", {}); return ${trap} as unknown as number;`)).right,
    ).toBe(false);
    const out = `
      let depth: unknown;
      const down = (): void => down();
      try { down(); } catch (error) { depth = (error as Error).constructor.constructor; }
      return (depth as (code: string) => () => number)("return process.pid")();`;
    expect((await run(out)).why).toMatch(/Code generation/);
  });

  it("has no files, processes or environment, even for code that got out", async () => {
    // The same process without the inner context: what the permissions alone keep away.
    const { spawnSync } = await import("node:child_process");
    const flag = process.allowedNodeEnvironmentFlags.has("--permission")
      ? "--permission"
      : "--experimental-permission";
    const file = join(tmpdir(), `picospec-sandbox-${process.pid}`);
    const script = `
      const tried = {};
      const attempt = (name, act) => { try { act(); tried[name] = "done"; } catch (error) { tried[name] = error.code; } };
      attempt("read", () => require("node:fs").readFileSync("/etc/hostname"));
      attempt("write", () => require("node:fs").writeFileSync(${JSON.stringify(file)}, ""));
      attempt("spawn", () => require("node:child_process").spawnSync("true"));
      attempt("worker", () => new (require("node:worker_threads").Worker)("1", { eval: true }));
      console.log(JSON.stringify(tried));`;
    const options = { encoding: "utf8", env: {} } as const;
    const denied = spawnSync(process.execPath, [flag, "--no-warnings", "-e", script], options);
    expect(JSON.parse(denied.stdout)).toEqual({
      read: "ERR_ACCESS_DENIED",
      write: "ERR_ACCESS_DENIED",
      spawn: "ERR_ACCESS_DENIED",
      worker: "ERR_ACCESS_DENIED",
    });
    expect(existsSync(file)).toBe(false);
    // Control: without the flag the same script can.
    const free = spawnSync(process.execPath, ["-e", script], options);
    expect(JSON.parse(free.stdout).write).toBe("done");
    rmSync(file);
  });
});
