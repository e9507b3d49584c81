import { createHash } from "node:crypto";

const TAG_DIGITS = 12;

/**
 * What the lines of both sides about a session share, resumed ones included: a part of a hash of its secret, which says nothing
 * of the secret and resumes nothing. null: it has none
 */
export function sessionTag(secret: string | null): string | undefined {
  if (secret === null) return undefined;
  return createHash("sha256").update(`picospec log ${secret}`).digest("hex").slice(0, TAG_DIGITS);
}
