import { type Command, InvalidArgumentError, Option } from "commander";
import { EdgeTrace } from "../ops/edge/trace.ts";
import {
  LOG_FORMATS,
  LOG_LEVELS,
  type LogFormat,
  type LogLevel,
  type OpenLog,
  pinoLog,
} from "../ops/pino-log.ts";
import { TRACE_LIMITS, TraceFile } from "../ops/trace-file.ts";
import { systemClock } from "../transport/node/clock.ts";

/** Options of commands that serve or answer: logs to stderr, and traces. */

export interface LogValues {
  readonly logLevel: LogLevel;
  readonly logFormat?: LogFormat;
}

export interface TraceValue {
  readonly trace?: string;
}

export function addLogOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--log-level <level>", "of the log on stderr; it has no text of prompts or answers")
        .choices(LOG_LEVELS)
        .default("info"),
    )
    .addOption(
      new Option("--log-format <format>", "of the log (default: text on a terminal, json elsewhere)").choices(
        LOG_FORMATS,
      ),
    );
}

/** The log of the options. The caller flushes it, last. */
export function openLog({ logLevel: level, logFormat }: LogValues): OpenLog {
  const format = logFormat ?? (process.stderr.isTTY ? "text" : "json");
  return pinoLog({ level, format, clock: systemClock });
}

/** @param what is in the file, for example "the answer's draft steps and frames" */
export function traceOption(what: string): Option {
  const help = `write ${what} to a file for chrome://tracing or Perfetto, ${TRACE_LIMITS.events} events at most`;
  return new Option("--trace <file>", help).argParser((path) => {
    if (path === "") throw new InvalidArgumentError("It must be a file.");
    return path;
  });
}

/** The trace of the options, which the caller closes; null: none is wanted. @throws PicoSpecError `cannot_write` */
export function openTrace({ trace }: TraceValue): { readonly edge: EdgeTrace; close(): void } | null {
  if (trace === undefined) return null;
  const file = new TraceFile(trace, { originMs: performance.timeOrigin });
  return { edge: new EdgeTrace(file, systemClock), close: () => file.close() };
}
