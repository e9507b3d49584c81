import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { Argument, Command, Option } from "commander";
import { type KeyRecord, keyLine, parseKeys } from "../cloud/trust/keys.ts";
import { checkTenantName, parseTenantWords, TENANT_ROWS, tenantWords } from "../cloud/trust/tenant.ts";
import { PicoSpecError, SettingError } from "../util/errors.ts";
import { readText, replaceText } from "./files.ts";
import { whole } from "./options.ts";
import { table } from "./output.ts";

interface KeysValues extends Partial<Record<string, unknown>> {
  readonly keys: string;
  readonly json?: true;
}

const ACTIONS = ["add", "list", "revoke"] as const;
type Action = (typeof ACTIONS)[number];

/** A key begins like this, so that one that leaks is recognised. */
const KEY_PREFIX = "pico-";
const KEY_BYTES = 32;

const ROWS = Object.values(TENANT_ROWS);

export function keysCommand(): Command {
  const command = new Command("keys")
    .description("the keys that a cloud takes: make, list and revoke them")
    .addArgument(new Argument("<action>", "what to do").choices(ACTIONS))
    .addArgument(new Argument("[name]", "whose key (add, revoke)"))
    .addOption(new Option("--keys <file>", "the cloud's file of keys").makeOptionMandatory())
    .addOption(new Option("--json", "print one JSON object and nothing else (list)"));
  for (const { word, help, least, most } of ROWS) {
    command.addOption(new Option(`--${word} <n>`, `${help} (add)`).argParser(whole(least, most)));
  }
  return command
    .addHelpText(
      "after",
      `
The file holds hashes, not keys: a key is printed once, when it is made, and only its owner has it. A cloud that runs
with --keys sees each change within a few seconds; connections of a revoked key end.

Examples:
  $ picospec keys add alice --keys keys.txt
  $ picospec keys add trial --keys keys.txt --sessions 2 --tokens-per-minute 6000 --context 4096
  $ picospec keys list --keys keys.txt
  $ picospec keys revoke trial --keys keys.txt`,
    )
    .action(run);
}

function run(action: Action, name: string | undefined, values: KeysValues): void {
  const extra = ROWS.find(({ word }) => action !== "add" && values[camelCase(word)] !== undefined);
  if (extra) throw new SettingError(extra.word, `--${extra.word} is for add, not for ${action}`);
  if (action === "list") {
    if (name !== undefined) throw new SettingError("name", "picospec keys list takes no name");
    list(values);
    return;
  }
  if (name === undefined) throw new SettingError("name", `picospec keys ${action} takes a name`);
  if (action === "add") add(checkTenantName(name), values);
  else revoke(name, values);
}

function add(name: string, values: KeysValues): void {
  const text = existsSync(values.keys) ? readText(values.keys, "a file of keys") : "";
  if (recordsOf(text, values).some(({ tenant }) => tenant.name === name)) {
    throw new SettingError("name", `${name} has a key already: revoke it first, or take another name`);
  }
  const key = KEY_PREFIX + randomBytes(KEY_BYTES).toString("base64url");
  const hash = createHash("sha256").update(key).digest("hex");
  const words = ROWS.map(({ word }) => [word, values[camelCase(word)]] as const)
    .filter(([, value]) => value !== undefined)
    .map(([word, value]) => `${word}=${value}`);
  const line = keyLine({ hash, tenant: { name, keyId: "", ...parseTenantWords(words) } });
  const before = text === "" || text.endsWith("\n") ? text : `${text}\n`;
  replaceText(values.keys, `${before}${line}\n`);
  console.log(key);
  console.error(`${name} can use it with --cloud-key or PICOSPEC_CLOUD_KEY; it is shown this once`);
}

function list({ keys, json }: KeysValues): void {
  const records = recordsOf(readText(keys, "a file of keys"), { keys });
  if (json) {
    const rows = records.map(({ tenant: { name, keyId, weight, limits } }) => {
      const bounded = Object.entries(limits).filter(([, value]) => Number.isFinite(value));
      return { name, id: keyId, weight, limits: Object.fromEntries(bounded) };
    });
    console.log(JSON.stringify(rows, null, 2));
    return;
  }
  if (records.length === 0) console.log("no keys");
  else {
    const rows = records.map(({ tenant }) => [
      tenant.name,
      tenant.keyId,
      tenantWords(tenant).join(" ") || "-",
    ]);
    console.log(table([["name", "id", "limits"], ...rows]));
  }
}

function revoke(name: string, values: KeysValues): void {
  const text = readText(values.keys, "a file of keys");
  if (!recordsOf(text, values).some(({ tenant }) => tenant.name === name)) {
    throw new SettingError("name", `there is no key of ${name} in ${values.keys}`);
  }
  const lines = text.split("\n").filter((line) => line.trim().split(/\s+/)[0] !== name);
  replaceText(values.keys, lines.join("\n"));
  console.log(`${name} is revoked`);
}

/** @throws PicoSpecError `bad_key_file` */
function recordsOf(text: string, { keys }: KeysValues): KeyRecord[] {
  try {
    return parseKeys(text);
  } catch (cause) {
    if (!(cause instanceof PicoSpecError)) throw cause;
    throw new PicoSpecError(cause.code, `${keys}: ${cause.message}`, { cause });
  }
}

function camelCase(word: string): string {
  return word.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
