import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import { nearestName } from "../util/setting.ts";

/**
 * Options of a server out of a JSON file: `{ "cloud": { "model": "large.gguf" }, "edge": { "port": 8080 } }`. A name is
 * the option's, in camel case. The command line wins over the environment, and that over the file.
 */

/** Of a targets' list in the section of the edge. */
const modelsSchema = z
  .array(
    z.strictObject({
      name: z.string().min(1).max(200).optional(),
      cloud: z.union([z.string(), z.array(z.string()).min(1)]),
      cloudKey: z.string().optional(),
      cloudCa: z.string().optional(),
      model: z.string().optional(),
      drafter: z.string().optional(),
    }),
  )
  .min(1)
  .max(64);

/** A target, and what drafts for it here. */
export type ConfiguredModel = z.infer<typeof modelsSchema>[number];

const sectionSchema = z.record(z.string(), z.unknown());
const fileSchema = z.strictObject({
  $schema: z.string().optional(),
  cloud: sectionSchema.optional(),
  edge: sectionSchema.optional(),
});

export function configOption(): Option {
  return new Option("--config <file>", "options out of a JSON file; the command line wins");
}

/** What of a command can stand in its section: all that it has but the file itself. */
function configurable(command: Command): Option[] {
  return command.options.filter((option) => !["config", "help", "version"].includes(option.attributeName()));
}

/**
 * Sets what the file says, before the command line is read.
 * @param args of the whole command line
 * @throws PicoSpecError `bad_file`, `bad_config` with the place in the file
 */
export function applyConfig(command: Command, args: readonly string[]): void {
  if (!command.options.some((option) => option.attributeName() === "config")) return;
  const path = configPath(args);
  if (path === undefined) return;
  const name = command.name() as "cloud" | "edge";
  const section = sectionOf(path, name);
  const options = new Map(configurable(command).map((option) => [option.attributeName(), option]));
  for (const [key, value] of Object.entries(section)) {
    const place = `${name}.${key}`;
    if (name === "edge" && key === "models") {
      command.setOptionValueWithSource("models", checkedModels(value, path), "config");
      continue;
    }
    const option = options.get(key);
    if (!option) {
      const near = nearestName(key, [...options.keys()]);
      throw wrong(
        path,
        `${place} is no option of picospec ${name}${near === null ? `; see picospec ${name} --help` : `; is it ${near}?`}`,
      );
    }
    command.setOptionValueWithSource(key, optionValue(option, value, path, place), "config");
    replaceOnCommandLine(command, option);
  }
}

/** @returns undefined: none is named */
function configPath(args: readonly string[]): string | undefined {
  const end = args.indexOf("--");
  const given = end < 0 ? args : args.slice(0, end);
  const at = given.findLastIndex((arg) => arg === "--config" || arg.startsWith("--config="));
  if (at < 0) return undefined;
  const [, inline] = given[at]!.split(/=(.*)/s);
  return inline ?? given[at + 1];
}

function sectionOf(path: string, name: "cloud" | "edge"): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new PicoSpecError("bad_file", `cannot read ${path} (${reason}); give a JSON file`, { cause });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw wrong(path, messageOf(cause));
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) throw wrong(path, issueText(parsed.error, ""));
  return parsed.data[name] ?? {};
}

function checkedModels(value: unknown, path: string): readonly ConfiguredModel[] {
  const parsed = modelsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw wrong(path, issueText(parsed.error, "edge.models"));
}

function issueText(error: z.ZodError, before: string): string {
  const issue = error.issues[0]!;
  const place = [before, ...issue.path.map(String)].filter((part) => part !== "").join(".");
  return `${place || "the file"}: ${issue.message}`;
}

/** A value of the file as the command line would have it. */
function optionValue(option: Option, value: unknown, path: string, place: string): unknown {
  if (option.isBoolean() || option.negate) {
    if (typeof value === "boolean") return value || undefined;
    throw wrong(path, `${place} is true or false`);
  }
  const values = isRepeatable(option) && Array.isArray(value) ? value : [value];
  let made: unknown = option.defaultValue;
  for (const one of values) {
    if (typeof one !== "string" && typeof one !== "number") {
      const kinds = isRepeatable(option) ? "a string, a number, or an array of them" : "a string or a number";
      throw wrong(path, `${place} is ${kinds}`);
    }
    try {
      made = option.parseArg ? option.parseArg(String(one), made) : String(one);
    } catch (cause) {
      if (!(cause instanceof InvalidArgumentError)) throw cause;
      throw wrong(path, `${place}: ${cause.message}`);
    }
  }
  return made;
}

/** What can be given several times says so. */
function isRepeatable(option: Option): boolean {
  return option.description.includes("can be repeated");
}

/** The first value of the command line takes the place of the file's, where several are collected. */
function replaceOnCommandLine(command: Command, option: Option): void {
  const { parseArg } = option;
  if (!parseArg) return;
  const name = option.attributeName();
  option.argParser((text, previous) => {
    const fromFile = command.getOptionValueSource(name) === "config";
    return parseArg(text, fromFile ? option.defaultValue : previous);
  });
}

function wrong(path: string, message: string): PicoSpecError {
  return new PicoSpecError("bad_config", `${path}: ${message}`);
}

/** JSON Schema of the file, draft 2020-12, out of the commands' own options. */
export function configSchema(commands: readonly Command[]): unknown {
  const sections = commands
    .filter((command) => command.options.some((option) => option.attributeName() === "config"))
    .map((command) => [command.name(), sectionSchemaOf(command)] as const);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Options of picospec cloud and picospec edge",
    type: "object",
    additionalProperties: false,
    properties: { $schema: { type: "string" }, ...Object.fromEntries(sections) },
  };
}

function sectionSchemaOf(command: Command): unknown {
  const properties: Record<string, unknown> = {};
  for (const option of configurable(command)) {
    properties[option.attributeName()] = { description: option.description, ...typeOf(option) };
  }
  if (command.name() === "edge") {
    const { $schema: _, ...models } = z.toJSONSchema(modelsSchema);
    properties.models = { description: "targets, each with what drafts for it", ...models };
  }
  return { type: "object", additionalProperties: false, properties };
}

function typeOf(option: Option): object {
  if (option.isBoolean() || option.negate) return { type: "boolean" };
  const one = option.argChoices ? { enum: option.argChoices } : { type: ["string", "number"] };
  return isRepeatable(option) ? { anyOf: [one, { type: "array", items: one }] } : one;
}
