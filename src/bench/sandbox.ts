import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { isDeepStrictEqual } from "node:util";
import { transform } from "sucrase";
import { z } from "zod";
import type { FunctionCase } from "../tasks/task.ts";
import { messageOf } from "../util/errors.ts";

/**
 * Runs code that a model wrote: in a process of its own, for a limited time, with limited memory and output, without
 * access to files, processes or the environment, in a context that holds nothing of Node. The process gets arguments
 * and gives back what the function returned; what it should return it is not told.
 */

/** For the whole of one process, its start included. */
const PROCESS_MS = 10_000;
/** For all calls together. */
const CALLS_MS = 1000;
const MEMORY_MB = 64;
const MOST_OUTPUT_BYTES = 1 << 20;
/** "nobody" on Linux and macOS, for a parent that is root */
const NOBODY = 65_534;

/** What runs in the process. A context without strings as code, without imports, and with no object from outside. */
const RUNNER = `
const vm = require("node:vm");
let input = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (part) => { input += part; });
process.stdin.on("end", () => {
  const { code, name, calls } = JSON.parse(input);
  const context = vm.createContext(Object.create(null), { codeGeneration: { strings: false, wasm: false } });
  const script = code + "\\n;JSON.stringify(" + JSON.stringify(calls) + ".map((args) => " + name + "(...args)))";
  let said;
  try {
    said = { results: String(vm.runInContext(script, context, { timeout: ${CALLS_MS} })) };
  } catch (error) {
    let why = "it failed";
    try { why = String(error.message).slice(0, 200); } catch {}
    said = { failure: why };
  }
  process.stdout.write(JSON.stringify(said));
});
`;

const Said = z.union([z.object({ results: z.string() }), z.object({ failure: z.string() })]);

export interface RunVerdict {
  readonly right: boolean;
  /** what is wrong, or "" */
  readonly why: string;
}

const wrong = (why: string): RunVerdict => ({ right: false, why });

/** Whether the function gives the right result in every case. @param code TypeScript; types that cannot be stripped are wrong */
export async function runFunction(
  code: string,
  name: string,
  cases: readonly FunctionCase[],
): Promise<RunVerdict> {
  let plain: string;
  try {
    plain = transform(code, { transforms: ["typescript"], disableESTransforms: true }).code;
  } catch (error) {
    return wrong(`it is not TypeScript: ${messageOf(error).trim().split("\n")[0]}`);
  }
  const input = JSON.stringify({ code: plain, name, calls: cases.map(({ args }) => args) });
  const said = await inProcess(input, process.getuid?.() === 0);
  if ("failure" in said) return wrong(said.failure);
  const results = parsed(said.results);
  if (!Array.isArray(results) || results.length !== cases.length) return wrong("it gave no results");
  for (const [i, { args, result }] of cases.entries()) {
    if (isDeepStrictEqual(results[i], result)) continue;
    const call = `${name}(${args.map((arg) => JSON.stringify(arg)).join(", ")})`;
    return wrong(`${call} is ${JSON.stringify(result)}, not ${JSON.stringify(results[i])}`);
  }
  return { right: true, why: "" };
}

/** @param asNobody gives up being root, where others may run Node at all */
function inProcess(input: string, asNobody: boolean): Promise<z.infer<typeof Said>> {
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  const flags = [permission, "--no-warnings", "--disallow-code-generation-from-strings"];
  const child = spawn(process.execPath, [...flags, `--max-old-space-size=${MEMORY_MB}`, "-e", RUNNER], {
    cwd: tmpdir(),
    env: {},
    stdio: ["pipe", "pipe", "ignore"],
    ...(asNobody ? { uid: NOBODY, gid: NOBODY } : {}),
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), PROCESS_MS);
    const parts: Buffer[] = [];
    let bytes = 0;
    child.stdout.on("data", (part: Buffer) => {
      bytes += part.length;
      if (bytes > MOST_OUTPUT_BYTES) child.kill("SIGKILL");
      else parts.push(part);
    });
    child.on("error", (error) => {
      clearTimeout(timer);
      if (asNobody) inProcess(input, false).then(resolve, reject);
      else reject(error);
    });
    child.on("close", () => {
      clearTimeout(timer);
      const said = Said.safeParse(parsed(Buffer.concat(parts).toString("utf8")));
      resolve(said.success ? said.data : { failure: "it took too long, or too much memory or output" });
    });
    // A process that died before it read is a failure that `close` tells.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
