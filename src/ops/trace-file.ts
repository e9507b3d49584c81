import { closeSync, openSync, writeSync } from "node:fs";
import { messageOf, PicoSpecError } from "../util/errors.ts";

/**
 * A file in Chrome's trace format (chrome://tracing, Perfetto): a JSON array of events, written as they come. The format
 * allows the end of the array to be missing, so a file is of use after a crash too.
 */

export const TRACE_LIMITS = {
  /** some 100 bytes each; a last event says how many more there were */
  events: 500_000,
  /** that are not written yet */
  bufferedUnits: 64 * 1024,
} as const;

/** Numbers and names alone: a trace has no text and no tokens. */
export type TraceArguments = Readonly<Record<string, number | string | boolean | null>>;

/** What an event is drawn in: a process, and a line of it. */
export interface Track {
  readonly pid: number;
  readonly tid: number;
}

export interface TraceFileOptions {
  /** to turn the times of events into those since 1970, so that the files of two machines go together */
  readonly originMs: number;
  /** default: that of the limits */
  readonly mostEvents?: number;
}

export class TraceFile {
  private readonly file: number;
  private readonly originMs: number;
  private readonly mostEvents: number;
  private buffer = "[";
  private events = 0;
  private dropped = 0;
  private latest = 0;
  private closed = false;
  /** the disk is full, or the file has gone */
  private failed = false;
  private readonly onExit = () => this.close();

  /** @throws PicoSpecError `cannot_write` */
  constructor(path: string, { originMs, mostEvents = TRACE_LIMITS.events }: TraceFileOptions) {
    this.originMs = originMs;
    this.mostEvents = mostEvents;
    try {
      this.file = openSync(path, "w");
    } catch (cause) {
      throw new PicoSpecError(
        "cannot_write",
        `cannot write ${path}: ${messageOf(cause)}; give another file`,
        {
          cause,
        },
      );
    }
    // Also where the process ends without closing what it has.
    process.on("exit", this.onExit);
  }

  /** Names a process or a line. */
  name(track: Track, what: "process_name" | "thread_name", name: string): void {
    this.write({ name: what, ph: "M", ...track, args: { name } });
  }

  /** Something that took from one time to another. */
  span(track: Track, name: string, fromMs: number, toMs: number, args: TraceArguments = {}): void {
    const ts = this.microseconds(fromMs);
    this.write({ name, ph: "X", ts, dur: this.microseconds(toMs) - ts, ...track, args });
  }

  instant(track: Track, name: string, atMs: number, args: TraceArguments = {}): void {
    this.write({ name, ph: "i", ts: this.microseconds(atMs), s: "t", ...track, args });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    process.removeListener("exit", this.onExit);
    const { dropped, mostEvents } = this;
    if (dropped > 0) {
      const args = { mostEvents, dropped };
      this.append({
        name: "cut: events are missing",
        ph: "i",
        s: "g",
        ts: this.latest,
        pid: 0,
        tid: 0,
        args,
      });
    }
    this.buffer += "\n]\n";
    this.flush();
    closeSync(this.file);
  }

  /** Whole, so that what is inside of something else stays so. */
  private microseconds(atMs: number): number {
    const at = Math.round((this.originMs + atMs) * 1000);
    this.latest = Math.max(this.latest, at);
    return at;
  }

  private write(event: object): void {
    if (this.closed || this.failed) return;
    if (this.events >= this.mostEvents) {
      this.dropped++;
      return;
    }
    this.append(event);
  }

  private append(event: object): void {
    this.buffer += `${this.events === 0 ? "" : ","}\n${JSON.stringify(event)}`;
    this.events++;
    if (this.buffer.length >= TRACE_LIMITS.bufferedUnits) this.flush();
  }

  /** At once: what is written is there, whatever becomes of the process. A full disk ends the trace and nothing else. */
  private flush(): void {
    try {
      const bytes = Buffer.from(this.buffer);
      for (let from = 0; from < bytes.length; ) from += writeSync(this.file, bytes, from);
    } catch {
      this.failed = true;
    }
    this.buffer = "";
  }
}
