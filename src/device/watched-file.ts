import { readFileSync, unwatchFile, watchFile } from "node:fs";
import { messageOf, PicoSpecError } from "../util/errors.ts";

/** How often a file is looked at: a poll also sees what replaces a link, as orchestrators do with secrets. */
const LOOK_MS = 1000;

/**
 * Files that are read at the start and again whenever one of them changes, as one value. What cannot be read later is
 * told, and the last good value stays.
 */
export class WatchedFiles<Value> {
  readonly first: Value;
  private readonly paths: readonly string[];
  private readonly read: (texts: readonly string[]) => Value;
  private readonly looked = () => this.changed();
  private listener: ((value: Value) => void) | null = null;
  private failed: ((message: string) => void) | null = null;

  /**
   * @param read makes the value of the files' texts; what it throws is an error of the file
   * @throws PicoSpecError `bad_file` where the first reading fails
   */
  constructor(paths: readonly string[], read: (texts: readonly string[]) => Value) {
    this.paths = paths;
    this.read = read;
    this.first = this.value();
  }

  /** Begins to watch. @param failed gets what is wrong with a change */
  watch(listener: (value: Value) => void, failed: (message: string) => void): void {
    this.listener = listener;
    this.failed = failed;
    for (const path of this.paths) watchFile(path, { interval: LOOK_MS, persistent: false }, this.looked);
  }

  close(): void {
    this.listener = null;
    for (const path of this.paths) unwatchFile(path, this.looked);
  }

  private changed(): void {
    try {
      this.listener?.(this.value());
    } catch (error) {
      this.failed?.(`${messageOf(error)}; what was read before goes on to hold`);
    }
  }

  private value(): Value {
    const texts = this.paths.map((path) => {
      try {
        return readFileSync(path, "utf8");
      } catch (cause) {
        const reason = (cause as NodeJS.ErrnoException).code;
        throw new PicoSpecError("bad_file", `cannot read ${path} (${reason})`, { cause });
      }
    });
    try {
      return this.read(texts);
    } catch (cause) {
      const code = cause instanceof PicoSpecError ? cause.code : "bad_file";
      throw new PicoSpecError(code, `${this.paths.join(" and ")}: ${messageOf(cause)}`, { cause });
    }
  }
}
