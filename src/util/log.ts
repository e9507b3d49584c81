/** What a line of a log has besides its message: never a text, a prompt, token ids, or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Where lines for an operator go. A library is silent unless it is given one. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * A fault of ours for a log: where it was thrown, without its message, which may quote a prompt or a peer.
 * @returns fields of a line
 */
export function faultFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error };
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  const at = frames.map((line) => line.trim().slice("at ".length)).slice(0, MOST_FRAMES);
  return { error: error.name, code, at: at.join(" < ") };
}

const MOST_FRAMES = 8;
