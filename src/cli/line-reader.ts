import { createInterface, type Interface } from "node:readline";
import { Writable } from "node:stream";

/** Lines that are typed at a terminal, or that come through a pipe. */

export type LineEvent =
  | { readonly kind: "line"; readonly line: string }
  /** Ctrl-C, or the signal. `typed`: there was something in the line, and it is thrown away */
  | { readonly kind: "interrupt"; readonly typed: boolean }
  | { readonly kind: "end" };

/** Lines that are kept before a pipe has to wait: what a reader that is busy for long may cost. */
const MOST_KEPT = 1024;
const HISTORY_LINES = 1000;

/** What readline writes to the terminal. It is dropped while an answer is being written. */
class Echo extends Writable {
  muted = false;

  /** readline asks for it, to know where a line breaks. */
  get columns(): number {
    return process.stdout.columns;
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    if (!this.muted) process.stdout.write(chunk);
    done();
  }
}

export class LineReader {
  /** both ends are a terminal: there are prompts, editing and a history of what was typed */
  readonly interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
  private readonly echo = new Echo();
  private readonly readline: Interface;
  private readonly events: LineEvent[] = [];
  private waiting: ((event: LineEvent) => void) | null = null;
  private interrupt: (() => void) | null = null;
  private ended = false;
  private readonly resized = () => this.echo.emit("resize");
  private readonly interrupted = () => this.onInterrupt();

  constructor() {
    const { stdin: input } = process;
    this.readline = this.interactive
      ? createInterface({ input, output: this.echo, terminal: true, historySize: HISTORY_LINES })
      : createInterface({ input, terminal: false, crlfDelay: Number.POSITIVE_INFINITY });
    this.readline.on("line", (line) => this.tell({ kind: "line", line }));
    this.readline.on("close", () => {
      this.ended = true;
      this.tell({ kind: "end" });
    });
    // A terminal in raw mode sends Ctrl-C as a key; others send the signal.
    this.readline.on("SIGINT", this.interrupted);
    process.on("SIGINT", this.interrupted);
    process.stdout.on("resize", this.resized);
  }

  /** The next thing that happens. @param prompt shown on a terminal */
  next(prompt: string): Promise<LineEvent> {
    const event = this.events.shift();
    if (event) {
      // It was typed while nothing was shown.
      if (this.interactive && event.kind === "line") process.stdout.write(`${prompt}${event.line}\n`);
      if (!this.ended && this.events.length < MOST_KEPT) this.readline.resume();
      return Promise.resolve(event);
    }
    if (this.ended) return Promise.resolve({ kind: "end" });
    if (this.interactive) {
      this.readline.setPrompt(prompt);
      this.readline.prompt(true);
    }
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  /** Keys that are typed during `work` are kept and not shown, and Ctrl-C calls `interrupt`. */
  async during<T>(interrupt: () => void, work: () => Promise<T>): Promise<T> {
    this.interrupt = interrupt;
    this.echo.muted = true;
    try {
      return await work();
    } finally {
      this.interrupt = null;
      this.echo.muted = false;
    }
  }

  close(): void {
    process.removeListener("SIGINT", this.interrupted);
    process.stdout.removeListener("resize", this.resized);
    this.readline.close();
  }

  private tell(event: LineEvent): void {
    const { waiting } = this;
    this.waiting = null;
    if (waiting) waiting(event);
    else this.events.push(event);
    if (!this.ended && this.events.length >= MOST_KEPT) this.readline.pause();
  }

  private onInterrupt(): void {
    if (this.interrupt) {
      this.interrupt();
      return;
    }
    const typed = this.interactive && this.readline.line !== "";
    if (typed) {
      this.readline.write(null, { ctrl: true, name: "e" });
      this.readline.write(null, { ctrl: true, name: "u" });
    }
    this.tell({ kind: "interrupt", typed });
  }
}
