import { HttpError } from "./errors.ts";

/**
 * Who may ask. The endpoint is for programs on this device. A web page that the user happens to visit must not reach
 * it: neither from its own origin, nor by DNS rebinding, where its own name leads to this device.
 */

export interface GuardOptions {
  /** names that this endpoint goes by, besides those of the loopback interface */
  readonly hosts: readonly string[];
  /** origins of web pages that may ask, for example "http://localhost:3000"; "*": any */
  readonly origins: readonly string[];
  /** clients have to bring it as a bearer token; null: not required */
  readonly apiKey: string | null;
}

/** What of a request's headers matters here. */
export interface GuardedHeaders {
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly authorization?: string | undefined;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;

/** @throws HttpError 403 or 401 */
export function admit(headers: GuardedHeaders, options: GuardOptions): void {
  checkHost(headers.host, options.hosts);
  if (headers.origin !== undefined && !originAllowed(headers.origin, options)) {
    const message = `pages of ${headers.origin} may not ask here; --allow-origin ${headers.origin} would let them`;
    throw new HttpError(403, "origin_not_allowed", message);
  }
  if (options.apiKey !== null && !sameText(headers.authorization ?? "", `Bearer ${options.apiKey}`)) {
    throw new HttpError(401, "invalid_api_key", "give the API key of this endpoint as a bearer token");
  }
}

/** The name without its port has to be one that leads here and nowhere else. */
function checkHost(host: string | undefined, allowed: readonly string[]): void {
  const name = host?.replace(/:\d+$/, "") ?? "";
  if (LOOPBACK.test(name) || allowed.some((other) => other.toLowerCase() === name.toLowerCase())) return;
  const message = `this endpoint does not go by the name ${JSON.stringify(name)}; --allow-host ${name || "NAME"} would add it`;
  throw new HttpError(403, "host_not_allowed", message);
}

function originAllowed(origin: string, { origins }: Pick<GuardOptions, "origins">): boolean {
  return origins.includes("*") || origins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase());
}

/** In a time that does not tell how much of it is the same. */
function sameText(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < b.length; i++) different |= (a.charCodeAt(i) || 0) ^ b.charCodeAt(i);
  return different === 0;
}

/** Headers that let an allowed page read the answer. */
export function corsHeaders(origin: string | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, POST, OPTIONS",
    "access-control-allow-headers": "authorization, content-type, x-request-id",
    "access-control-expose-headers": "x-request-id, x-picospec-relaxed",
    "access-control-max-age": "600",
    vary: "origin",
  };
}
