import { SettingError } from "../../util/errors.ts";

/** A tenant of the cloud: one key of an operator's file, and what it may use. */

/** Infinity: no bound of its own; the cloud's hold for all. */
export interface TenantLimits {
  /** open sessions, all of the key's connections together */
  readonly sessions: number;
  /** prompt and answer, tokens a minute on average; what was left unused is kept for a minute */
  readonly tokensPerMinute: number;
  /** tokens of one prompt */
  readonly promptTokens: number;
  /** tokens of one session, prompt and answer */
  readonly contextTokens: number;
}

export interface Tenant {
  readonly name: string;
  /** tells this key from another of the same name */
  readonly keyId: string;
  /** its share of a pass beside others: 2 gets twice what 1 gets */
  readonly weight: number;
  readonly limits: TenantLimits;
}

interface LimitRow {
  /** as it stands in a file of keys, and as an option of `picospec keys add` */
  readonly word: string;
  readonly help: string;
  readonly least: number;
  readonly most: number;
}

const MOST = 1e12;

/** What may be said of a key, one row a setting. */
export const TENANT_ROWS: Readonly<Record<keyof TenantLimits | "weight", LimitRow>> = {
  sessions: { word: "sessions", help: "most open sessions", least: 1, most: 100_000 },
  tokensPerMinute: {
    word: "tokens-per-minute",
    help: "tokens a minute, prompts and answers",
    least: 1,
    most: MOST,
  },
  promptTokens: { word: "prompt-tokens", help: "most tokens of a prompt", least: 1, most: MOST },
  contextTokens: {
    word: "context",
    help: "most tokens of a session, prompt and answer",
    least: 16,
    most: MOST,
  },
  weight: { word: "weight", help: "share of a pass beside others, relative to 1", least: 1, most: 1000 },
};

/** A key without limits of its own. */
export const UNLIMITED: TenantLimits = {
  sessions: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  promptTokens: Number.POSITIVE_INFINITY,
  contextTokens: Number.POSITIVE_INFINITY,
};

/** Letters, digits and a few marks: a name stands in logs, metrics and a file of words. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;

/** @throws SettingError for a name that cannot stand in a file of keys */
export function checkTenantName(name: string): string {
  if (NAME.test(name)) return name;
  const shown = JSON.stringify(name.slice(0, 80));
  throw new SettingError(
    "name",
    `a key's name has 1 to 64 letters, digits, ".", "_", "@" or "-", and begins with a letter or digit, not ${shown}`,
  );
}

/**
 * Settings of a key out of words such as `sessions=8`.
 * @throws SettingError that names the word
 */
export function parseTenantWords(words: readonly string[]): Pick<Tenant, "weight" | "limits"> {
  const found: Partial<Record<keyof typeof TENANT_ROWS, number>> = {};
  for (const word of words) {
    const [name = "", text = ""] = word.split("=", 2);
    const entry = Object.entries(TENANT_ROWS).find(([, row]) => row.word === name);
    if (!entry) {
      const known = Object.values(TENANT_ROWS).map((row) => row.word);
      throw new SettingError(name, `${JSON.stringify(word)} is no setting of a key: ${known.join(", ")}`);
    }
    const [setting, { least, most }] = entry as [keyof typeof TENANT_ROWS, LimitRow];
    const value = Number(text);
    if (text === "" || !Number.isInteger(value) || value < least || value > most) {
      throw new SettingError(name, `${name} is a whole number from ${least} to ${most}, not "${text}"`);
    }
    if (found[setting] !== undefined) throw new SettingError(name, `${name} is given twice`);
    found[setting] = value;
  }
  const { weight = 1, ...limits } = found;
  return { weight, limits: { ...UNLIMITED, ...limits } };
}

/** The words of a key's settings, those at their default left out. */
export function tenantWords({ weight, limits }: Pick<Tenant, "weight" | "limits">): string[] {
  const values = { ...limits, weight: weight === 1 ? Number.POSITIVE_INFINITY : weight };
  return Object.entries(TENANT_ROWS)
    .filter(([setting]) => Number.isFinite(values[setting as keyof typeof values]))
    .map(([setting, { word }]) => `${word}=${values[setting as keyof typeof values]}`);
}
