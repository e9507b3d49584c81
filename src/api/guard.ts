import { HttpError } from "./errors.ts";

/**
 * Who may ask. The endpoint is for programs on this device. A web page that the user happens to visit must not reach
 * it: neither from its own origin, nor by DNS rebinding, where its own name leads to this device.
 */

export interface GuardOptions {
  /** names that this endpoint goes by, besides those of the loopback interface */
  readonly hosts: readonly string[];
  /** IP addresses of this machine that it goes by as well, as they are now. Default: none */
  readonly addresses?: () => readonly string[];
  /** origins of web pages that may ask, or patterns of `originPattern`; "*": any */
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
const IP_LITERAL = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/i;

/** @throws HttpError 403 */
export function admit(
  headers: GuardedHeaders,
  options: Pick<GuardOptions, "hosts" | "addresses" | "origins">,
): void {
  checkHost(headers.host, options);
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

/**
 * The name without its port has to be one that leads here and nowhere else. An address of this machine is no name, so
 * DNS cannot be made to lead it elsewhere.
 */
function checkHost(
  host: string | undefined,
  { hosts, addresses }: Pick<GuardOptions, "hosts" | "addresses">,
): void {
  const name = host?.replace(/:\d+$/, "") ?? "";
  const same = (other: string) => other.toLowerCase() === name.toLowerCase();
  if (LOOPBACK.test(name) || hosts.some(same)) return;
  if (addresses && IP_LITERAL.test(name)) {
    if (addresses().some((address) => same(address.includes(":") ? `[${address}]` : address))) return;
  }
  const message = `this endpoint does not go by the name ${JSON.stringify(name)}; --allow-host ${name || "NAME"} would add it`;
  throw new HttpError(403, "host_not_allowed", message);
}

function originAllowed(origin: string, { origins }: Pick<GuardOptions, "origins">): boolean {
  return origins.some((allowed) => originPattern(allowed)?.test(origin) ?? false);
}

const MOST_LABELS = "(?:[a-z0-9_-]+\\.)+";

/**
 * `*` is any origin; `https://*.example.com` any name below that one, but not itself; `http://localhost:*` any port, or
 * none.
 * @returns null: it has a * elsewhere
 */
export function originPattern(text: string): RegExp | null {
  if (text === "*") return /^/;
  const [, scheme, below, rest, port] = /^([a-z][a-z0-9+.-]*:\/\/)?(\*\.)?([^*]+?)(:\*)?$/is.exec(text) ?? [];
  if (rest === undefined || (scheme === undefined && (below ?? port) !== undefined)) return null;
  const literal = (part: string) => part.replace(/[.+?^${}()|[\]\\/-]/g, "\\$&");
  const pattern =
    literal(scheme ?? "") + (below ? MOST_LABELS : "") + literal(rest) + (port ? "(?::\\d+)?" : "");
  return new RegExp(`^${pattern}$`, "i");
}

/** In a time that does not tell how much of it is the same. */
function sameText(a: string, b: string): boolean {
  let different = a.length ^ b.length;
  for (let i = 0; i < b.length; i++) different |= (a.charCodeAt(i) || 0) ^ b.charCodeAt(i);
  return different === 0;
}
