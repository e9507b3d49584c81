import { messageOf, PicoSpecError } from "../../util/errors.ts";

/** Why something did not work, as plain data that crosses from one process to another. */
export interface Failure {
  /** of a PicoSpecError, or null */
  readonly code: string | null;
  readonly message: string;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly failure: Failure };

/** What work returns, or what it throws. */
export async function outcomeOf<T>(work: () => Promise<T> | T): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await work() };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): { readonly ok: false; readonly failure: Failure } {
  const code = error instanceof PicoSpecError ? error.code : null;
  return { ok: false, failure: { code, message: messageOf(error) } };
}
