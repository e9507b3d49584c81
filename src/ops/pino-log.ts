import { type DestinationStream, destination, pino } from "pino";
import type { Clock } from "../util/clock.ts";
import type { Log, LogFields } from "../util/log.ts";
import { textLine } from "./text-line.ts";

/** The log of a command: to stderr, by pino. */

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export const LOG_FORMATS = ["text", "json"] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFormat = (typeof LOG_FORMATS)[number];

export const LOG_LIMITS = {
  /** a peer that provokes lines fills no disk: the rest of a second is one line with their number */
  linesPerSecond: 200,
  /** of what a reader has not taken: more is dropped, and the process goes on */
  unreadBytes: 1024 * 1024,
  /** to write the last lines in */
  finishMs: 1000,
  /** of one value: some are what a peer chose */
  valueUnits: 256,
} as const;

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly clock: Clock;
  /** default: stderr */
  readonly write?: (line: string) => void;
}

/** Names under which a secret would come, should a line ever have one. */
const SECRETS = ["authorization", "apiKey", "secret", "password", "token", "headers"];

export interface OpenLog extends Log {
  /** What is not written yet is written now. */
  flush(): void;
  /**
   * The last lines of a process that is about to end: written in their order, also behind one that is under way. Nothing
   * may be logged after it.
   * @param done called once, when they are written, or when that takes too long
   */
  finish(done: () => void): void;
}

export function pinoLog({ level, format, clock, write }: LogOptions): OpenLog {
  const stderr = write ? null : destination({ dest: 2, sync: false, maxLength: LOG_LIMITS.unreadBytes });
  // A reader that is slow or gone costs lines, and nothing else.
  stderr?.on("error", () => {});
  const raw: DestinationStream = stderr ?? { write: write! };
  const target = format === "json" ? raw : { write: (line: string) => raw.write(textLine(line)) };
  const logger = pino(
    {
      level,
      base: format === "json" ? { pid: process.pid } : null,
      redact: { paths: SECRETS, censor: "[secret]" },
    },
    target,
  );
  const gate = new Gate(clock, (dropped) =>
    logger.warn({ dropped }, "log lines were dropped: too many a second"),
  );
  const line = (kind: "debug" | "info" | "warn" | "error") => (fields: LogFields, message: string) => {
    if (logger.isLevelEnabled(kind) && gate.opens()) logger[kind](bounded(fields), message);
  };
  return {
    debug: line("debug"),
    info: line("info"),
    warn: line("warn"),
    error: line("error"),
    flush() {
      gate.tell();
      try {
        stderr?.flushSync();
      } catch {
        // Not open yet, or nothing reads it any more.
      }
    },
    finish(done) {
      gate.tell();
      if (!stderr) {
        done();
        return;
      }
      let over = false;
      const once = () => {
        if (!over) done();
        over = true;
      };
      clock.schedule(clock.nowMs() + LOG_LIMITS.finishMs, once);
      stderr.once("close", once);
      stderr.end();
    },
  };
}

function bounded(fields: LogFields): LogFields {
  const most = LOG_LIMITS.valueUnits;
  const cut = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === "string" && value.length > most && name !== "at" ? `${value.slice(0, most)}…` : value,
  ]);
  return Object.fromEntries(cut);
}

/** Lets so many lines through in a second. */
class Gate {
  private readonly clock: Clock;
  private readonly told: (dropped: number) => void;
  private sinceMs = Number.NEGATIVE_INFINITY;
  private passed = 0;
  private dropped = 0;

  constructor(clock: Clock, told: (dropped: number) => void) {
    this.clock = clock;
    this.told = told;
  }

  opens(): boolean {
    const nowMs = this.clock.nowMs();
    if (nowMs - this.sinceMs >= 1000) {
      this.sinceMs = nowMs;
      this.passed = 0;
      this.tell();
    }
    if (this.passed < LOG_LIMITS.linesPerSecond) {
      this.passed++;
      return true;
    }
    this.dropped++;
    return false;
  }

  tell(): void {
    const { dropped } = this;
    this.dropped = 0;
    if (dropped > 0) this.told(dropped);
  }
}
