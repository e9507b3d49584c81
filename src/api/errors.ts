import { CloudError } from "../edge/connection.ts";
import { PromptError } from "../text/tokenizer.ts";
import { ConnectionError } from "../transport/transport.ts";
import { messageOf, PicoSpecError, SettingError } from "../util/errors.ts";
import { TurnstileError } from "../util/turnstile.ts";

/** Errors in the shape of OpenAI's API. */

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export class HttpError extends PicoSpecError {
  override readonly name = "HttpError";
  readonly status: number;
  readonly type: string;
  /** of the request's body, for example "messages.0.role" */
  readonly param: string | null;
  /** another try before this many ms is in vain; undefined: not known */
  readonly retryAfterMs: number | undefined;

  constructor(
    status: number,
    code: string,
    message: string,
    param: string | null = null,
    retryAfterMs?: number,
  ) {
    super(code, message);
    this.retryAfterMs = retryAfterMs;
    this.status = status;
    this.type = TYPES[status] ?? (status < 500 ? "invalid_request_error" : "server_error");
    this.param = param;
  }

  get body(): ErrorBody {
    return { error: { message: this.message, type: this.type, param: this.param, code: this.code } };
  }
}

const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
};

/** What the cloud says in one word, as a status. */
const CLOUD_STATUS: Readonly<Record<string, readonly [status: number, code: string]>> = {
  bad_setting: [400, "invalid_value"],
  unsupported: [400, "unsupported"],
  prompt_too_long: [400, "context_length_exceeded"],
  grammar_limit: [400, "grammar_limit"],
  quota_exceeded: [429, "quota_exceeded"],
  server_full: [429, "rate_limit_exceeded"],
  too_many_sessions: [429, "rate_limit_exceeded"],
};

/** Any failure as one that can be told to a client. */
export function asHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  const message = messageOf(error);
  if (error instanceof SettingError) {
    const tooLong = error.setting === "prompt" && message.includes("context");
    return new HttpError(400, tooLong ? "context_length_exceeded" : "invalid_value", message, error.setting);
  }
  if (error instanceof TurnstileError) {
    if (error.code === "full")
      return new HttpError(429, "rate_limit_exceeded", `${message}: try again later`);
    if (error.code === "gone") return new HttpError(499, "cancelled", "the client has gone");
    return new HttpError(400, "invalid_value", `too many answers for one request: ${message}`, "n");
  }
  if (error instanceof CloudError) {
    // A code is what a peer says: any text, also the name of something that every object has.
    const known = Object.hasOwn(CLOUD_STATUS, error.code) ? CLOUD_STATUS[error.code] : undefined;
    const [status, code] = known ?? [503, error.code];
    return new HttpError(status, code, message, null, error.retryAfterMs);
  }
  if (error instanceof ConnectionError) return new HttpError(503, error.code, message);
  if (error instanceof PromptError) {
    return new HttpError(error.code === "tokenizer_busy" ? 429 : 400, error.code, message, "prompt");
  }
  if (error instanceof PicoSpecError) {
    return new HttpError(error.code === "template" ? 400 : 500, error.code, message);
  }
  return new HttpError(500, "internal_error", `this should not happen: ${message}`);
}
