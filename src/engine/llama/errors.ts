import { messageOf, PicoSpecError } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";

export function closedError(): EngineError {
  return new EngineError("closed", "the model was closed");
}

/** llama.cpp refuses to take tokens of a sequence back. */
export function cannotTruncate(): EngineError {
  return new EngineError("cannot_truncate", "this model's state cannot be rolled back");
}

/** Anything thrown, for the callback that waits: a bug of ours ends the work as well, and says so (`internal`). */
export function engineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const code = error instanceof PicoSpecError ? error.code : "internal";
  return new EngineError(code, messageOf(error), { cause: error });
}
