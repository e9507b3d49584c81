import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";

/** The command line as users run it: the built package, in processes of its own. */

export const BIN = resolve("bin/picospec.js");
export const TARGET = resolve("models/pico-target-q8_0.gguf");
export const DRAFTER = resolve("models/pico-drafter-q8_0.gguf");

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function picospec(
  args: readonly string[],
  options: { readonly stdin?: string; readonly cwd?: string } = {},
): Promise<Finished> {
  const child = spawn(process.execPath, [BIN, ...args], { cwd: options.cwd, timeout: 120_000 });
  child.stdin.end(options.stdin ?? "");
  return finished(child);
}

export function finished(child: ChildProcess): Promise<Finished> {
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk) => (stdout += chunk));
  child.stderr?.on("data", (chunk) => (stderr += chunk));
  return new Promise((done, fail) => {
    child.once("error", fail);
    child.once("close", (status) => done({ status, stdout, stderr }));
  });
}

export interface RunningCloud {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** what it said until it was ready */
  readonly said: string;
  readonly ended: Promise<Finished>;
  stop(signal?: NodeJS.Signals): Promise<Finished>;
}

/** `picospec cloud` on a free port, ready. Stopped by its own pid. */
export function startCloud(
  args: readonly string[] = [],
  env: NodeJS.ProcessEnv = process.env,
  nodeArgs: readonly string[] = [],
): Promise<RunningCloud> {
  const own = ["--model", TARGET, "--port", "0", "--threads", "1", "--gpu", "off"];
  return startServer(["cloud", ...own, ...args], env, nodeArgs);
}

/** `picospec edge` on a free port, ready; the URL ends in /v1. */
export function startEdge(args: readonly string[], nodeArgs: readonly string[] = []): Promise<RunningCloud> {
  return startServer(
    ["edge", "--port", "0", "--threads", "1", "--gpu", "off", ...args],
    process.env,
    nodeArgs,
  );
}

/** Any command that says that it listens. */
export function startServer(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  nodeArgs: readonly string[] = [],
): Promise<RunningCloud> {
  const child = spawn(process.execPath, [...nodeArgs, BIN, ...args], { env });
  const ended = finished(child);
  return new Promise((ready, fail) => {
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
      const match = /listening on ((?:wss?|http):\/\/\S+:(\d+)\S*)/.exec(said);
      if (!match) return;
      ready({
        url: match[1]!,
        port: Number(match[2]),
        pid: child.pid!,
        said,
        ended,
        stop(signal = "SIGTERM") {
          child.kill(signal);
          return ended;
        },
      });
    });
    void ended.then(({ stderr }) => fail(new Error(`${args[0]} ended: ${stderr}`)));
  });
}
