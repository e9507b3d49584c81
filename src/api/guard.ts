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
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i;

/** @throws HttpError 403 */
export function admit(headers: GuardedHeaders, options: Pick<GuardOptions, "hosts" | "origins">): void {
  checkHost(headers.host, options.hosts);
  if (headers.origin !== undefined && !originAllowed(headers.origin, options)) {
    const message = `pages of ${headers.origin} may not ask here; --allow-origin ${headers.origin} would let them`;
    throw new HttpError(403, "origin_not_allowed", message);
  }
}

/** Where clients put a key. */
export interface GivenKey {
  /** the header of that name: `Bearer KEY` */
  readonly authorization?: string | undefined;
  /** the header x-api-key, as Anthropic's clients have it */
  readonly apiKey?: string | undefined;
}

/** A key may be any text, and not only what a header of HTTP's own scheme may have. @throws HttpError 401 */
export function checkKey(given: GivenKey, { apiKey }: Pick<GuardOptions, "apiKey">): void {
  if (apiKey === null || sameText(given.authorization ?? "", `Bearer ${apiKey}`)) return;
  if (sameText(given.apiKey ?? "", apiKey)) return;
  const message = "give the API key of this endpoint as a bearer token, or as x-api-key";
  throw new HttpError(401, "invalid_api_key", message);
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
