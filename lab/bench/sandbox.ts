import { type ChildProcessByStdio, spawn } from "node:child_process";
import { tmpdir } from "node:os";
import type { Readable, Writable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { transform } from "sucrase";
import { messageOf } from "../../src/util/errors.ts";
import { parsedJson } from "../../src/util/json.ts";
import type { Verdict } from "../tasks/check.ts";
import type { FunctionCase } from "../tasks/task.ts";

/**
 * Runs code that a model wrote: in a process of its own, for a limited time, with limited memory and output, without
 * access to files, processes or the environment, in a context that holds nothing of Node. The process gets arguments
 * and gives back what the function returned; what it should return it is not told.
 *
 * Code that got out of the context would find no files, but before Node 25 a network. There is no way for it that we
 * know of; for code that is out to harm, start the whole command in a container.
 */

/** For the whole of one process, its start included. */
const PROCESS_MS = 10_000;
/** For all calls together. */
const CALLS_MS = 1000;
const MEMORY_MB = 64;
const MOST_OUTPUT_BYTES = 1 << 20;
const MOST_REASON = 200;
/** "nobody" on Linux and macOS, for a parent that is root */
const NOBODY = 65_534;

/** What takes memory outside of the heap that is limited, and what runs code of another kind. */
const TAKEN_AWAY = [
  ..."ArrayBuffer SharedArrayBuffer DataView Atomics WebAssembly FinalizationRegistry WeakRef".split(" "),
  ..."Int8 Uint8 Uint8Clamped Int16 Uint16 Int32 Uint32 Float32 Float64 BigInt64 BigUint64"
    .split(" ")
    .map((type) => `${type}Array`),
];

/**
 * What runs in the process. A context without strings as code, without imports, and with no object from outside; and
 * nothing of the code is called from outside, not even a getter: only a string is taken.
 */
const RUNNER = `
"use strict";
const vm = require("node:vm");
const fs = require("node:fs");
let input = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part) => { input += part; });
process.stdin.on("end", () => {
  const { code, name, calls } = JSON.parse(input);
  const context = vm.createContext(Object.create(null), {
    codeGeneration: { strings: false, wasm: false },
    microtaskMode: "afterEvaluate",
  });
  vm.runInContext(${JSON.stringify(TAKEN_AWAY)}.map((type) => "delete globalThis." + type).join(";"), context);
  const script = "'use strict'; let said; try { said = 'r' + (() => {" + code +
    "\\n;return JSON.stringify(" + JSON.stringify(calls) + ".map((args) => " + name + "(...args)));})(); } " +
    "catch (error) { said = 'f' + (error && error.message); } said";
  let said;
  try {
    said = vm.runInContext(script, context, { timeout: ${CALLS_MS} });
  } catch (error) {
    said = error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT" ? "fit timed out" : "fit failed";
  }
  fs.writeSync(1, typeof said === "string" ? said : "fit gave no text");
  process.exit(0);
});
`;

type Said = { readonly results: string } | { readonly failure: string };

const wrong = (why: string): Verdict => ({ right: false, why });

/** Whether the function gives the right result in every case. @param code TypeScript; types that cannot be stripped are wrong */
export async function runFunction(
  code: string,
  name: string,
  cases: readonly FunctionCase[],
): Promise<Verdict> {
  let plain: string;
  try {
    plain = transform(code.replace(/^export (default )?/gm, ""), {
      transforms: ["typescript"],
      disableESTransforms: true,
    }).code;
  } catch (error) {
    return wrong(`it is not TypeScript: ${messageOf(error).trim().split("\n")[0]}`);
  }
  const input = JSON.stringify({ code: plain, name, calls: cases.map(({ args }) => args) });
  const said = await inProcess(input, process.getuid?.() === 0);
  if ("failure" in said) return wrong(said.failure);
  const results = parsedJson(said.results);
  if (!Array.isArray(results) || results.length !== cases.length) return wrong("it gave no results");
  for (const [i, { args, result }] of cases.entries()) {
    if (isDeepStrictEqual(results[i], result)) continue;
    const call = `${name}(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
    return wrong(`${call} is ${JSON.stringify(result)}, not ${JSON.stringify(results[i])}`);
  }
  return { right: true, why: "" };
}

/** @param asNobody gives up being root, where others may run Node at all */
function inProcess(input: string, asNobody: boolean): Promise<Said> {
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  const flags = [permission, "--no-warnings", "--disallow-code-generation-from-strings"];
  const args = [...flags, `--max-old-space-size=${MEMORY_MB}`, "-e", RUNNER];
  let child: ChildProcessByStdio<Writable, Readable, null>;
  try {
    child = spawn(process.execPath, args, {
      cwd: tmpdir(),
      env: {},
      stdio: ["pipe", "pipe", "ignore"],
      ...(asNobody ? { uid: NOBODY, gid: NOBODY } : {}),
    });
  } catch (error) {
    return asNobody ? inProcess(input, false) : Promise.reject(error);
  }
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), PROCESS_MS);
    const parts: Buffer[] = [];
    let bytes = 0;
    let started = true;
    child.stdout.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > MOST_OUTPUT_BYTES) child.kill("SIGKILL");
      else parts.push(part);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      started = false;
      // The user "nobody" may not run Node where it is installed for root alone.
      if (asNobody) inProcess(input, false).then(resolve, reject);
      else reject(error);
    });
    child.on("close", () => {
      clearTimeout(timer);
      if (started) resolve(saidIn(bytes > MOST_OUTPUT_BYTES ? "" : Buffer.concat(parts).toString("utf8")));
    });
    // A process that died before it read is a failure that `close` tells.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** "r" and results as JSON, or "f" and why there are none. */
function saidIn(output: string): Said {
  if (output.startsWith("r")) return { results: output.slice(1) };
  const failure = output.startsWith("f") ? output.slice(1, MOST_REASON) : "";
  return { failure: failure || "it took too long, or too much memory or output" };
}
