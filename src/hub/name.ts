import { HubError } from "./errors.ts";

/** A model on the hub, as users write it: hf:owner/repo, hf:owner/repo:Q4_K_M or hf:owner/repo:file.gguf. */
export interface HubName {
  /** owner/repo */
  readonly repository: string;
  /** a file or a quantisation; null: whichever is usual */
  readonly wish: string | null;
}

const PREFIX = "hf:";
const WORD = /^\w(?:[\w.-]{0,94}\w)?$/;
const MOST_PATH_CHARACTERS = 512;

export function isHubName(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** @throws HubError `bad_name` */
export function parseHubName(text: string): HubName {
  const [, owner, repo, wish] = /^hf:([^/:]+)\/([^/:]+)(?::(.+))?$/s.exec(text) ?? [];
  const words = [owner, repo].every((word) => word !== undefined && WORD.test(word) && !word.includes(".."));
  if (!words || (wish !== undefined && !safePath(wish))) {
    const shown = JSON.stringify(text.slice(0, 200));
    throw new HubError(
      "bad_name",
      `${shown} names no model: write hf:OWNER/REPO, hf:OWNER/REPO:Q4_K_M or hf:OWNER/REPO:FILE.gguf`,
    );
  }
  return { repository: `${owner}/${repo}`, wish: wish ?? null };
}

export function hubNameText({ repository, wish }: HubName): string {
  return `${PREFIX}${repository}${wish === null ? "" : `:${wish}`}`;
}

/**
 * Whether a path in a repository stays within its folder on every platform. It comes from a server, and becomes
 * a path on this machine.
 */
export function safePath(path: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (path.length > MOST_PATH_CHARACTERS || /[\u0000-\u001f\u007f-\u009f\\:*?"<>|]/.test(path)) return false;
  // Windows drops dots and spaces at the end of a name, so that "..." and ".. " may be "..".
  return path.split("/").every((part) => part !== "" && !/[. ]$/.test(part));
}
