import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { PicoSpecError } from "../util/errors.ts";

/** @param what it should be, for example "a text file" @throws PicoSpecError `bad_file` */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new PicoSpecError("bad_file", `cannot read ${path} (${reason}); give ${what}`, { cause });
  }
}

/**
 * Replaces a file as a whole, readable by its owner alone: a reader sees what was there or what is there, never a part.
 * @throws PicoSpecError `busy` while another process does the same, `bad_file`
 */
export function replaceText(path: string, text: string): void {
  const beside = `${path}.new`;
  try {
    const file = openSync(beside, "wx", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      const message = `${beside} is there: another command changes ${path}; remove it if none does`;
      throw new PicoSpecError("busy", message, { cause });
    }
    rmSync(beside, { force: true });
    throw new PicoSpecError("bad_file", `cannot write ${path} (${code})`, { cause });
  }
}
