import { PicoSpecError } from "../util/errors.ts";

/** Codes of error frames. They are stable: a client may act on them. */
export type ProtocolErrorCode =
  | "bad_frame"
  | "protocol_version"
  | "tokenizer_mismatch"
  | "grammar_limit"
  | "grammar_lost"
  | "server_full"
  | "too_many_sessions"
  | "quota_exceeded"
  | "bad_key"
  | "prompt_too_long"
  | "bad_setting"
  | "unsupported"
  | "bad_draft"
  | "unexpected_frame"
  | "slow_peer"
  | "superseded"
  | "no_tokenizer"
  | "model_output"
  | "shutting_down"
  | "internal";

/** A peer sent what it may not send. It costs the peer its session, or its connection, and no other peer's. */
export class ProtocolError extends PicoSpecError {
  override readonly name = "ProtocolError";
  override readonly code: ProtocolErrorCode;
  /** the session that it costs, when that is all it costs; 0: the connection */
  readonly session: number;
  /** another try before this many ms is in vain; undefined: not known */
  readonly retryAfterMs: number | undefined;

  constructor(code: ProtocolErrorCode, message: string, session = 0, retryAfterMs?: number) {
    super(code, message);
    this.code = code;
    this.session = session;
    this.retryAfterMs = retryAfterMs;
  }
}
