import { spawn } from "node:child_process";
import { BIN } from "./processes.ts";

/** A command under a pseudo terminal, which `script` makes: the command sees what it sees at a person's terminal. */
export interface Terminal {
  /** everything that was shown so far, control sequences included */
  shown(): string;
  /** as from the keyboard: \r is Enter, \u0003 is Ctrl-C */
  type(keys: string): void;
  /** Waits until what was shown after the last call's match matches. */
  waitFor(pattern: RegExp): Promise<void>;
  /** the command's exit status, once it has ended */
  readonly status: Promise<number | null>;
}

export function openTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): Terminal {
  const command = [process.execPath, BIN, ...args];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const options =
    process.platform === "darwin" ? ["-q", "/dev/null", ...command] : ["-qefc", quoted, "/dev/null"];
  const child = spawn("script", options, {
    env: { ...process.env, TERM: "xterm", ...env },
    timeout: 120_000,
  });
  let [text, from] = ["", 0];
  let check = () => {};
  const take = (chunk: Buffer) => {
    text += chunk;
    check();
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  const status = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  return {
    shown: () => text,
    type: (keys) => void child.stdin.write(keys),
    status,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        check = () => {
          const match = pattern.exec(text.slice(from));
          if (!match) return;
          from += match.index + match[0].length;
          check = () => {};
          resolve();
        };
        void status.then(() => reject(new Error(`it ended without ${pattern}: ${text}`)), reject);
        check();
      }),
  };
}
