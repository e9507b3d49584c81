import { PicoSpecError } from "../util/errors.ts";

export type HubErrorCode =
  | "bad_name"
  | "no_repository"
  | "no_file"
  | "ambiguous_file"
  | "gated"
  | "forbidden"
  | "rate_limited"
  | "hub_unreachable"
  | "hub_failed"
  | "hub_answer"
  | "changed"
  | "corrupt"
  | "disk_full"
  | "cache_unusable"
  | "busy"
  | "not_cached";

/** What is worth another try, and when. */
export interface Retry {
  /** what the server asks for; null: the usual backoff */
  readonly afterMs: number | null;
}

/** A model could not be had: a name, the hub, the network or this machine's disk. */
export class HubError extends PicoSpecError {
  override readonly name = "HubError";
  /** null: the same would happen again */
  readonly retry: Retry | null;

  constructor(
    code: HubErrorCode,
    message: string,
    { cause, retry = null }: { cause?: unknown; retry?: Retry | null } = {},
  ) {
    super(code, message, { cause });
    this.retry = retry;
  }
}

export const RETRY: Retry = { afterMs: null };
