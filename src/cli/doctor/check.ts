import { messageOf } from "../../util/errors.ts";
import type { colours } from "../output.ts";
import { wrapped } from "../text.ts";

/** What `picospec doctor` says of one thing. */
export interface Check {
  readonly name: string;
  /** `warning`: it works, but not as well as it could; `problem`: it does not */
  readonly status: "ok" | "warning" | "problem";
  /** what was found, one line */
  readonly detail: string;
  /** what to do about it; null: nothing */
  readonly advice: string | null;
}

export function ok(name: string, detail: string): Check {
  return { name, status: "ok", detail, advice: null };
}

export function warning(name: string, detail: string, advice: string): Check {
  return { name, status: "warning", detail, advice };
}

export function problem(name: string, detail: string, advice: string): Check {
  return { name, status: "problem", detail, advice };
}

/**
 * A check that cannot take longer than it may, and whose failure is a problem of its own, and not of other checks.
 * @param work gives up what it has open when the signal fires; what it says after that counts for nothing
 */
export async function bounded(
  name: string,
  withinMs: number,
  work: (signal: AbortSignal) => Promise<Check> | Check,
): Promise<Check> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Check>((resolve) => {
    timer = setTimeout(() => {
      resolve(
        problem(name, `no result after ${withinMs / 1000} s`, "try again when the machine is less busy"),
      );
    }, withinMs);
  });
  const done = async () => work(controller.signal);
  const failed = (error: unknown) =>
    problem(name, `the check itself failed: ${messageOf(error)}`, "please report it");
  return Promise.race([done().catch(failed), late]).finally(() => {
    clearTimeout(timer);
    controller.abort();
  });
}

const NAME_WIDTH = 16;
const STATUS_WIDTH = 8;

/** A check for a person: what was found, and then the advice, within the columns. */
export function checkText(check: Check, pen: ReturnType<typeof colours>): string {
  const paint = { ok: pen.green, warning: pen.yellow, problem: pen.red }[check.status];
  const indent = " ".repeat(STATUS_WIDTH + NAME_WIDTH + 2);
  const detail = wrapped(`${indent}${check.detail}`, indent).slice(indent.length);
  const head = `${paint(check.status.padEnd(STATUS_WIDTH))} ${check.name.padEnd(NAME_WIDTH)} ${detail}`;
  if (check.advice === null) return head;
  return `${head}\n${pen.dim(wrapped(`${indent}to do: ${check.advice}`, indent))}`;
}

/** All of them in one line. */
export function verdict(checks: readonly Check[]): string {
  const count = (status: Check["status"]) => checks.filter((check) => check.status === status).length;
  const several = (n: number, what: string) => `${n === 0 ? "no" : n} ${what}${n === 1 ? "" : "s"}`;
  return `${several(count("problem"), "problem")}, ${several(count("warning"), "warning")}`;
}
