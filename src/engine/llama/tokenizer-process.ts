import { type ChildProcess, fork } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { PromptText } from "../../text/conversation.ts";
import { PromptError } from "../../text/tokenizer.ts";

/**
 * Long texts of strangers are read in a process of their own. The library cannot be stopped, blocks its thread, and ends
 * the process over texts that overflow its stack: this one is ended at a deadline, its death is an error of one prompt,
 * and the tokens are what the library itself says, so that no text is read in another way for it.
 */

/** What is asked of the process, and what it says, one by one. */
export type TokenizerOrder =
  | { readonly kind: "load"; readonly file: string | Uint8Array }
  | { readonly kind: "read"; readonly prompt: PromptText };
export type TokenizerAnswer =
  | { readonly ok: true; readonly tokens: Int32Array | null }
  | { readonly ok: false; readonly message: string };

/** Bounds of what is read, and for how long. */
export const TOKENIZER_LIMITS = {
  /** texts that wait, and how many units they have together: against a flood of prompts */
  waiting: 256,
  waitingUnits: 64 * 1024 * 1024,
  /** to load the vocabulary */
  loadMs: 60_000,
  /** to read a text, and more for each million units: the slowest tokenizers read 400,000 in a second */
  readMs: 2000,
  readMsPerMillion: 3000,
  /** the process is ended when it has had nothing to do for so long: it holds a vocabulary */
  idleMs: 60_000,
} as const;

interface Waiting {
  readonly prompt: PromptText;
  readonly units: number;
  readonly resolve: (tokens: Int32Array) => void;
  readonly reject: (error: PromptError) => void;
}

/** Built beside this file; run from its source, the file is that of the last build. */
function program(): string {
  const here = fileURLToPath(import.meta.url);
  const folder = here.endsWith(".ts") ? join(dirname(here), "../../../dist/src/engine/llama") : dirname(here);
  return join(folder, "tokenizer-program.js");
}

/** Reads texts in another process, the shortest first, which is started when there is one. */
export class TokenizerProcess {
  private readonly file: string | Uint8Array;
  private readonly limits: typeof TOKENIZER_LIMITS;
  private child: ChildProcess | null = null;
  private loaded = false;
  private closed = false;
  private readonly waiting: Waiting[] = [];
  private waitingUnits = 0;
  /** being read */
  private current: Waiting | null = null;
  private timer: NodeJS.Timeout | null = null;

  /** @param file path of a GGUF file, or the bytes of one without tensors */
  constructor(file: string | Uint8Array, limits: typeof TOKENIZER_LIMITS = TOKENIZER_LIMITS) {
    this.file = file;
    this.limits = limits;
  }

  /** @throws PromptError `prompt_refused` when the text takes too long or ends the process; `tokenizer_busy` */
  read(prompt: PromptText): Promise<Int32Array> {
    const { waiting, waitingUnits } = this.limits;
    const units = prompt.text.length;
    if (this.waiting.length >= waiting || this.waitingUnits + units > waitingUnits) {
      const message = "too many long prompts wait to be read; try again later";
      return Promise.reject(new PromptError("tokenizer_busy", message));
    }
    return new Promise((resolve, reject) => {
      const at = this.waiting.findIndex((other) => other.units > units);
      this.waiting.splice(at < 0 ? this.waiting.length : at, 0, { prompt, units, resolve, reject });
      this.waitingUnits += units;
      this.next();
    });
  }

  /** Ends the process. What waits is refused. */
  close(): void {
    this.closed = true;
    this.end("this tokenizer was closed");
  }

  private next(): void {
    if (this.current) return;
    if (this.closed) {
      this.end("this tokenizer was closed");
      return;
    }
    const first = this.waiting.shift();
    if (!first) {
      this.rest();
      return;
    }
    this.waitingUnits -= first.units;
    this.current = first;
    this.child ??= this.start();
    this.child.ref();
    this.child.channel?.ref();
    if (this.loaded) this.ask(first);
  }

  private start(): ChildProcess {
    const child = fork(program(), [], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
    });
    const gone = (reason: string) => {
      if (this.child === child) this.end(reason);
    };
    child.on("message", (answer) => this.heard(child, answer as TokenizerAnswer));
    child.on("error", (error) => gone(`it could not be read: ${error.message}`));
    child.on("exit", () => gone("the model's tokenizer fails over it: break long runs of characters up"));
    this.deadline(this.limits.loadMs, "the tokenizer could not be loaded in time");
    child.send({ kind: "load", file: this.file } satisfies TokenizerOrder, () => {});
    return child;
  }

  private ask({ prompt, units }: Waiting): void {
    const { readMs, readMsPerMillion } = this.limits;
    const ms = readMs + (units / 1e6) * readMsPerMillion;
    this.deadline(ms, "the model's tokenizer takes too long over it: shorten it");
    this.child!.send({ kind: "read", prompt } satisfies TokenizerOrder, () => {});
  }

  private heard(child: ChildProcess, answer: TokenizerAnswer): void {
    if (this.child !== child || !this.current) return;
    if (!answer.ok) {
      this.end(answer.message);
      return;
    }
    if (answer.tokens === null) {
      this.loaded = true;
      this.ask(this.current);
      return;
    }
    const { resolve } = this.current;
    this.current = null;
    if (this.timer) clearTimeout(this.timer);
    this.next();
    resolve(answer.tokens);
  }

  /** A process that has nothing to do keeps nothing alive, and is ended after a while. */
  private rest(): void {
    const { child } = this;
    if (!child) return;
    child.unref();
    child.channel?.unref();
    this.deadline(this.limits.idleMs, "");
    this.timer?.unref();
  }

  private deadline(ms: number, reason: string): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.end(reason), ms);
  }

  /** Ends the process; what it was reading is refused, and the next text gets another one. */
  private end(reason: string): void {
    const { child, current } = this;
    if (this.timer) clearTimeout(this.timer);
    this.child = null;
    this.current = null;
    this.loaded = false;
    child?.kill("SIGKILL");
    const refused = this.closed ? this.waiting.splice(0) : [];
    for (const { reject } of current ? [current, ...refused] : refused) {
      reject(new PromptError("prompt_refused", `this prompt cannot be read: ${reason}`));
    }
    if (!this.closed && this.waiting.length > 0) this.next();
  }
}
