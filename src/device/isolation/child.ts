import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { systemClock } from "../../transport/node/clock.ts";
import type { CancelTimer } from "../../util/clock.ts";
import { packagePath } from "../node.ts";
import { ISOLATION_LIMITS } from "./limits.ts";
import type { Outcome } from "./outcome.ts";
import { type Answers, LOADING_LIBRARY, type Message, type Request } from "./requests.ts";

/**
 * A process of its own for work on what came from outside: it may hang, abort or eat memory without this process. A
 * worker thread would not do: llama.cpp aborts the whole process, and so does V8 where one allocation of a worker
 * (an array that grows, a string made flat) is past its heap limit.
 */

/** As they are built: Node runs no TypeScript. */
const PROGRAMS = {
  files: packagePath("dist/src/device/isolation/file-program.js"),
  templates: packagePath("dist/src/device/isolation/template-program.js"),
} as const;
const SHELL = "/bin/sh";
const MOST_KEPT_CHARACTERS = 16_384;

export interface ChildOptions {
  readonly program: keyof typeof PROGRAMS;
  /** all that it may allocate; mapped files do not count */
  readonly memoryBytes: number;
  /** of it, what JavaScript may have */
  readonly heapMegabytes: number;
  /** `limit`: by the kernel, where it can (Linux); `watch`: by a thread of the child. Default: the better one here */
  readonly bound?: "limit" | "watch";
}

/** It did not answer: no fault of the request's form, but of what was to be worked on, or of the machine. */
export const LATE = "late";
export const CRASHED = "crashed";

/** What is done for a request, until the child says more. */
const STARTING = "starting";
const STAGES = { library: LOADING_LIBRARY, file: STARTING, template: "rendering" } as const;
/** What a file that took its child over would look for. */
const SECRETS = /TOKEN|KEY|SECRET|PASSWORD|CREDENTIAL/i;

interface Asked {
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly cancelDeadline: CancelTimer;
}

export class IsolatedChild {
  private readonly process: ChildProcess;
  private readonly asked = new Map<number, Asked>();
  private asks = 0;
  private said = "";
  /** what it was doing last */
  private stage: string = STARTING;
  private over: Outcome<never> | null = null;

  constructor(options: ChildOptions) {
    this.process = start(options);
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.said = (this.said + chunk.toString("latin1")).slice(-MOST_KEPT_CHARACTERS);
    });
    this.process.on("message", (message) => this.receive(message as Message));
    this.process.on("error", ({ message }) => this.end(CRASHED, message));
    // After its last words, which `exit` does not wait for.
    this.process.once("close", (code, by) => {
      const why = reason(this.said);
      // No file has been touched by llama.cpp then: the library does not fit the machine, or no program starts.
      const fault = [STARTING, LOADING_LIBRARY].includes(this.stage) ? "no_engine" : CRASHED;
      this.end(
        fault,
        `it ended its process while ${this.stage} (${by ?? `status ${code}`}${why && `: ${why}`})`,
      );
    });
  }

  /** It takes no more requests. */
  get gone(): boolean {
    return this.over !== null;
  }

  /**
   * @param withinMs it is ended when it has not answered by then
   * @returns failures with the code `late` or `crashed` are about the process, others the request's own
   */
  ask<K extends keyof Answers>(
    request: Extract<Request, { kind: K }>,
    withinMs: number,
  ): Promise<Outcome<Answers[K]>> {
    if (this.over) return Promise.resolve(this.over);
    const number = ++this.asks;
    this.stage = STAGES[request.kind];
    return new Promise((resolve) => {
      const cancelDeadline = systemClock.schedule(systemClock.nowMs() + withinMs, () => {
        this.end(LATE, `it was still ${this.stage} after ${withinMs / 1000} s`);
      });
      this.asked.set(number, { resolve: resolve as Asked["resolve"], cancelDeadline });
      this.process.send({ number, request }, (error) => error && this.end(CRASHED, error.message));
    });
  }

  /** Ends the process; what it was asked fails. */
  close(): void {
    this.end(CRASHED, "it was closed");
  }

  /** Lets this process end while the child waits for requests; the child ends with it. */
  unref(): void {
    this.process.unref();
    this.process.channel?.unref();
    (this.process.stderr as { unref?: () => void } | null)?.unref?.();
  }

  /** Keeps this process alive while the child works. */
  ref(): void {
    this.process.ref();
    this.process.channel?.ref();
  }

  private receive(message: Message): void {
    // A child that a file took over may say anything.
    if (typeof message !== "object" || message === null) return;
    if ("stage" in message) {
      this.stage = message.stage;
      return;
    }
    const asked = this.asked.get(message.number);
    this.asked.delete(message.number);
    asked?.cancelDeadline();
    asked?.resolve(message.outcome);
  }

  private end(code: string, message: string): void {
    if (this.over) return;
    this.over = { ok: false, failure: { code, message } };
    this.process.kill("SIGKILL");
    for (const { resolve, cancelDeadline } of this.asked.values()) {
      cancelDeadline();
      resolve(this.over);
    }
    this.asked.clear();
  }
}

/** Asks one thing of a process that is made for it. @param signal ends it */
export async function inChild<K extends keyof Answers>(
  options: ChildOptions,
  request: Extract<Request, { kind: K }>,
  withinMs: number,
  signal?: AbortSignal,
): Promise<Outcome<Answers[K]>> {
  const child = new IsolatedChild(options);
  const close = () => child.close();
  signal?.addEventListener("abort", close);
  if (signal?.aborted) close();
  try {
    return await child.ask(request, withinMs);
  } finally {
    signal?.removeEventListener("abort", close);
    child.close();
  }
}

/**
 * With the kernel's limit where there is one: RLIMIT_DATA counts what is allocated, on Linux, and neither mapped files
 * nor address space that V8 only reserves. Where it cannot be set a thread of the child watches.
 */
function start({ program, memoryBytes, heapMegabytes, bound }: ChildOptions): ChildProcess {
  const limited = bound === undefined ? process.platform === "linux" && existsSync(SHELL) : bound === "limit";
  const node = [
    `--max-old-space-size=${heapMegabytes}`,
    PROGRAMS[program],
    String(limited ? 0 : memoryBytes),
  ];
  const options = {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    // A backtrace of an abort would start a debugger.
    env: { ...withoutSecrets(process.env), GGML_NO_BACKTRACE: "1", NODE_OPTIONS: "" },
  } as const;
  if (!limited) return spawn(process.execPath, node, { ...options, stdio: [...options.stdio] });
  // A limit that is lower already stays.
  const script = 'ulimit -d "$0" 2>/dev/null; exec "$@"';
  const kibibytes = String(Math.ceil(memoryBytes / 1024));
  return spawn(SHELL, ["-c", script, kibibytes, process.execPath, ...node], {
    ...options,
    stdio: [...options.stdio],
  });
}

function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !SECRETS.test(name)));
}

/** What a process said of its end. It may quote the file: only what can be printed is kept. */
function reason(said: string): string {
  const lines = said.split("\n").map((line) => line.replaceAll(/[^\x20-\x7e]/g, "").trim());
  const telling = lines.find((line) =>
    /GGML_ASSERT|what\(\)|FATAL ERROR|fatal error|out of memory/i.test(line),
  );
  const line = telling ?? lines.filter((each) => each !== "").at(-1) ?? "";
  return line.replace(/^\S*\/(?=[\w.-]+\.\w+:\d+)/, "").slice(0, ISOLATION_LIMITS.reasonCharacters);
}
