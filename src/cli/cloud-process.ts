import { type ChildProcess, spawn } from "node:child_process";
import { packagePath } from "../device/node.ts";
import { PicoSpecError } from "../util/errors.ts";

export interface CloudProcess {
  readonly url: string;
  readonly pid: number;
  /** resolves when it ends, however that comes about, with how */
  readonly ended: Promise<string>;
  stop(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;

/**
 * `picospec cloud` in a process of its own, which ends with this one.
 * @param args of the command
 * @param withinMs how long it may take to load its model
 * @throws PicoSpecError `cloud_failed` with what it said last
 */
export function startCloudProcess(
  args: readonly string[],
  withinMs: number = START_TIMEOUT_MS,
): Promise<CloudProcess> {
  const child = spawn(process.execPath, [packagePath("bin/picospec.js"), "cloud", ...args], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => {
      clearTimeout(timeout);
      child.kill();
      reject(new PicoSpecError("cloud_failed", `the cloud did not start: ${said.trim() || reason}`));
    };
    const timeout = setTimeout(() => fail("it took too long"), withinMs);
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code) => fail(`it ended with status ${code}`));
    child.once("message", (message: { port: number }) => {
      clearTimeout(timeout);
      child.removeAllListeners("exit");
      const ended = new Promise<string>((told) => {
        child.once("exit", (code, signal) => told(said.trim() || `status ${code ?? signal}`));
      });
      const url = `ws://127.0.0.1:${message.port}`;
      resolve({ url, pid: child.pid!, ended, stop: () => stop(child) });
    });
  });
}

function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const forced = setTimeout(() => child.kill("SIGKILL"), 5000);
    child.once("exit", () => {
      clearTimeout(forced);
      resolve();
    });
    child.kill("SIGTERM");
  });
}
