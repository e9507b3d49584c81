import { PicoSpecError } from "../util/errors.ts";

/** Codes of error frames. They are stable: a client may act on them. */
export type ProtocolErrorCode =
  | "bad_frame"
  | "protocol_version"
  | "tokenizer_mismatch"
  | "server_full"
  | "too_many_sessions"
  | "prompt_too_long"
  | "bad_setting"
  | "bad_draft"
  | "unexpected_frame"
  | "slow_peer"
  | "model_output"
  | "shutting_down"
  | "internal";

/** A peer sent what it may not send. It costs the peer its session, or its connection, and nobody else's. */
export class ProtocolError extends PicoSpecError {
  override readonly name = "ProtocolError";
  override readonly code: ProtocolErrorCode;

  constructor(code: ProtocolErrorCode, message: string) {
    super(code, message);
    this.code = code;
  }
}
