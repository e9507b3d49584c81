import { PicoSpecError, SettingError } from "../../util/errors.ts";
import { checkTenantName, parseTenantWords, type Tenant, tenantWords } from "./tenant.ts";

/**
 * The keys of a cloud, as they stand in an operator's file: a line each, `NAME sha256:HEX [SETTING=NUMBER …]`. The file
 * holds no key, only its SHA-256. A key has 256 random bits, so that a fast hash is enough: there is nothing to guess.
 */

const HASH = /^sha256:([0-9a-f]{64})$/;
const MOST_KEYS = 10_000;
/** Characters of a hash that tell a key from another in logs. */
const KEY_ID_UNITS = 12;

export interface KeyRecord {
  /** SHA-256 of the key, 64 hexadecimal digits, lower case */
  readonly hash: string;
  readonly tenant: Tenant;
}

/** A file of keys that cannot be read. */
export class KeyFileError extends PicoSpecError {
  override readonly name = "KeyFileError";
}

/**
 * Reads a file of keys; `#` begins a comment.
 * @throws KeyFileError `bad_key_file` with the line that is wrong
 * @example
 * import { parseKeys } from "picospec";
 *
 * const [record] = parseKeys(`alice sha256:${"0".repeat(64)} sessions=8`);
 * console.log(record?.tenant.limits.sessions);
 */
export function parseKeys(text: string): KeyRecord[] {
  const records: KeyRecord[] = [];
  const names = new Set<string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") continue;
    try {
      const record = parseLine(line);
      if (names.has(record.tenant.name)) {
        throw new SettingError("name", `${record.tenant.name} is there twice`);
      }
      names.add(record.tenant.name);
      records.push(record);
      if (records.length > MOST_KEYS) throw new SettingError("keys", `there are more than ${MOST_KEYS} keys`);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      const message = `line ${index + 1}: ${error.message}; make it with: picospec keys add`;
      throw new KeyFileError("bad_key_file", message, { cause: error });
    }
  }
  return records;
}

function parseLine(line: string): KeyRecord {
  const [name = "", hash = "", ...words] = line.split(/\s+/);
  checkTenantName(name);
  const digits = HASH.exec(hash)?.[1];
  if (digits === undefined) {
    throw new SettingError("hash", "after the name comes sha256: and 64 hexadecimal digits");
  }
  const keyId = digits.slice(0, KEY_ID_UNITS);
  return { hash: digits, tenant: { name, keyId, ...parseTenantWords(words) } };
}

/** A key's line in the file. */
export function keyLine({ hash, tenant }: KeyRecord): string {
  return [tenant.name, `sha256:${hash}`, ...tenantWords(tenant)].join(" ");
}

/**
 * The key with this hash, or null. Every record is compared, and each in the same time, whatever it holds.
 * @param hash SHA-256 of what was presented, 64 hexadecimal digits, lower case
 */
export function findKey(records: readonly KeyRecord[], hash: string): KeyRecord | null {
  let found: KeyRecord | null = null;
  for (const record of records) {
    let different = record.hash.length ^ hash.length;
    for (let i = 0; i < record.hash.length; i++) {
      different |= record.hash.charCodeAt(i) ^ (hash.charCodeAt(i) || 0);
    }
    if (different === 0) found = record;
  }
  return found;
}
