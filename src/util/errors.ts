/**
 * Base of every error that the world can cause (a bad file, a peer, a setting). `code` is stable and can be
 * matched on; `message` is one line and says what to do next.
 */
export class PicoSpecError extends Error {
  override readonly name: string = "PicoSpecError";
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** A setting that a user or a peer gave is outside of what is allowed. */
export class SettingError extends PicoSpecError {
  override readonly name = "SettingError";
  readonly setting: string;

  constructor(setting: string, message: string) {
    super("bad_setting", message);
    this.setting = setting;
  }
}

/** One line that a person can read, for any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
