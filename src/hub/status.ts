import { HubError, RETRY } from "./errors.ts";

/** What was asked for, for messages. */
export interface Asked {
  readonly repository: string;
  readonly endpoint: string;
  readonly hasToken: boolean;
}

/**
 * What a hub's refusal means. It says more in X-Error-Code than in the status: a repository that is not there and
 * one that is private are both 401 to a client without a token.
 */
export function statusError(
  { status, headers }: Pick<Response, "status" | "headers">,
  { repository, endpoint, hasToken }: Asked,
): HubError {
  const code = headers.get("x-error-code");
  if (code === "GatedRepo") {
    const message = hasToken
      ? `${repository} is gated, and the account of HF_TOKEN has no access: accept its terms at ${endpoint}/${repository}`
      : `${repository} is gated: accept its terms at ${endpoint}/${repository}, and set HF_TOKEN to a token of that account`;
    return new HubError("gated", message);
  }
  if (code === "EntryNotFound") {
    return new HubError(
      "no_file",
      `${repository} does not have that file any more; look at ${endpoint}/${repository}`,
    );
  }
  if (code === "RevisionNotFound") {
    return new HubError("no_file", `${repository} has no branch main, so there is nothing to download`);
  }
  if (status === 401 || status === 404) {
    const message = hasToken
      ? `there is no repository ${repository} on ${endpoint} that HF_TOKEN may read; check the name and the token`
      : `there is no public repository ${repository} on ${endpoint}; check the name, or set HF_TOKEN if it is private`;
    return new HubError("no_repository", message);
  }
  if (status === 403) {
    const next = hasToken
      ? "give HF_TOKEN a token that may read it"
      : "set HF_TOKEN to a token that may read it";
    return new HubError("forbidden", `${endpoint} refuses access to ${repository} (403); ${next}`);
  }
  const afterMs = retryAfterMs(headers);
  if (status === 429) {
    const when = afterMs === null ? "later" : `in ${Math.ceil(afterMs / 1000)} s`;
    const hint = hasToken ? "" : "; with HF_TOKEN set the hub allows more";
    const message = `${endpoint} allows no more requests for now (429); try again ${when}${hint}`;
    return new HubError("rate_limited", message, { retry: { afterMs } });
  }
  const message = `${endpoint} answers ${status} for ${repository}; try again later`;
  const passing = status >= 500 || status === 408;
  return new HubError("hub_failed", message, { retry: passing ? { ...RETRY, afterMs } : null });
}

/**
 * How long a server wants to be left alone; null: it does not say. Retry-After (RFC 9110, 10.2.3) in seconds or as
 * a date, which is held against the server's own Date, so that this machine's clock does not matter; else the
 * rest of the window in RateLimit (draft-ietf-httpapi-ratelimit-headers-09), as the hub sends it.
 */
export function retryAfterMs(headers: Headers): number | null {
  const after = headers.get("retry-after")?.trim() ?? "";
  if (/^\d{1,9}$/.test(after)) return Number(after) * 1000;
  const untilMs = Date.parse(after) - Date.parse(headers.get("date") ?? "");
  if (!Number.isNaN(untilMs)) return Math.max(0, untilMs);
  const window = /(?:^|;)\s*t=(\d{1,9})/.exec(headers.get("ratelimit") ?? "");
  return window ? Number(window[1]) * 1000 : null;
}
