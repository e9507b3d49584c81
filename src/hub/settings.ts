import { posix, win32 } from "node:path";
import { SettingError } from "../util/errors.ts";

/** Where models come from, and where they are kept. */
export interface HubSettings {
  /** an http(s) address without a slash at its end */
  readonly endpoint: string;
  readonly token: string | null;
  /** folder of the models; made when it is needed */
  readonly cacheFolder: string;
}

/** Bounds of what a hub can make this machine do, and for how long. */
export const HUB_LIMITS = {
  /** of a listing; the hub sends 1,000 files a page */
  pages: 50,
  /** of a page of a listing, and of an error's text */
  answerBytes: 16 * 1024 * 1024,
  redirects: 6,
  /** files of one split model */
  parts: 200,
  /** to the first byte of an answer */
  answerMs: 30_000,
  /** a transfer that brings less than `stallBytes` in this time is given up and tried again */
  stallMs: 60_000,
  stallBytes: 16 * 1024,
  listTries: 3,
  /** in a row; a try that brought `progressBytes` begins the count anew */
  transferTries: 5,
  progressBytes: 8 * 1024 * 1024,
  firstBackoffMs: 1000,
  /** longest wait that a server can ask for; the hub counts requests in windows of 300 s */
  longestRetryMs: 310_000,
  /** how often a lock's holder shows that it lives */
  beatMs: 5000,
  /** a lock without a sign of life for so long is taken over */
  staleMs: 30_000,
  lockPollMs: 500,
  /** longest wait for another process that downloads the same file */
  lockWaitMs: 6 * 3600_000,
} as const;

export type HubLimits = typeof HUB_LIMITS;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws SettingError for a token or an endpoint that is none, and for a token that would go in the clear */
export function hubSettings(environment: Environment, platform: string, home: string): HubSettings {
  // An empty variable counts as none: that is how a shell unsets one for a single command.
  const token = environment.HF_TOKEN?.trim() || null;
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    throw new SettingError(
      "HF_TOKEN",
      "HF_TOKEN is no token: it has characters that none can have; set it anew",
    );
  }
  return {
    endpoint: endpointOf(environment.PICOSPEC_HF_ENDPOINT || "https://huggingface.co", token),
    token,
    cacheFolder: (platform === "win32" ? win32 : posix).join(
      cacheFolder(environment, platform, home),
      "models",
    ),
  };
}

function endpointOf(text: string, token: string | null): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "") {
    throw new SettingError(
      "PICOSPEC_HF_ENDPOINT",
      `PICOSPEC_HF_ENDPOINT is no address of a hub: ${text.slice(0, 200)}; write it as https://HOST`,
    );
  }
  const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (token !== null && url.protocol === "http:" && !loopback) {
    throw new SettingError(
      "PICOSPEC_HF_ENDPOINT",
      `HF_TOKEN would travel in the clear to ${url.origin}; use an https:// address, or unset HF_TOKEN`,
    );
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, "");
}

/** The platform's place for what can be had again. */
export function cacheFolder(environment: Environment, platform: string, home: string): string {
  const { join, resolve, isAbsolute } = platform === "win32" ? win32 : posix;
  const { PICOSPEC_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = environment;
  if (PICOSPEC_CACHE) return resolve(PICOSPEC_CACHE);
  if (platform === "win32") return join(LOCALAPPDATA || join(home, "AppData", "Local"), "picospec");
  if (platform === "darwin") return join(home, "Library", "Caches", "picospec");
  // The XDG specification: a relative path is to be ignored.
  const base = XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : join(home, ".cache");
  return join(base, "picospec");
}
