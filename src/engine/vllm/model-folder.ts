import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import * as z from "zod";
import { oneTemplate } from "../../text/templates/named.ts";
import { EngineError } from "../engine.ts";

/** What a model's folder says, as Hugging Face lays it out: tokenizer, template, end tokens, size of the vocabulary. */

export interface ModelFolder {
  readonly path: string;
  /** tokenizer.json, parsed */
  readonly tokenizer: unknown;
  readonly chatTemplate: string | null;
  /** text of the token that begins a text; null: none */
  readonly beginText: string | null;
  readonly endText: string | null;
  /** ids that end an answer, as the model's own configuration has them */
  readonly endIds: readonly number[];
  /** rows of logits have so many numbers; null: it does not say */
  readonly vocabularySize: number | null;
}

/** Of one file: the largest tokenizer.json have 35 MB. */
const MOST_FILE_BYTES = 128 * 2 ** 20;

const ids = z.union([z.number().int().min(0), z.array(z.number().int().min(0)).max(1024)]).nullish();
const named = z.union([z.string(), z.object({ content: z.string() })]).nullish();

const configSchema = z.object({
  eos_token_id: ids,
  vocab_size: z.number().int().min(1).nullish(),
  text_config: z.object({ eos_token_id: ids, vocab_size: z.number().int().min(1).nullish() }).nullish(),
});
const generationSchema = z.object({ eos_token_id: ids });
const tokenizerConfigSchema = z.object({
  bos_token: named,
  eos_token: named,
  chat_template: z
    .union([z.string(), z.array(z.object({ name: z.string(), template: z.string() }))])
    .nullish(),
});

/** @throws EngineError `no_tokenizer`, `bad_model` */
export async function readModelFolder(path: string): Promise<ModelFolder> {
  const tokenizer = await json(join(path, "tokenizer.json"));
  if (tokenizer === undefined) {
    const message = `${path} has no tokenizer.json; --tokenizer is the folder of the model that the server has`;
    throw new EngineError("no_tokenizer", message);
  }
  const parsed = async <T>(name: string, schema: z.ZodType<T>): Promise<T | null> => {
    const found = await json(join(path, name));
    if (found === undefined) return null;
    const result = schema.safeParse(found);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw bad(join(path, name), `${issue?.path.join(".")}: ${issue?.message}`);
  };
  const config = await parsed("config.json", configSchema);
  const generation = await parsed("generation_config.json", generationSchema);
  const words = await parsed("tokenizer_config.json", tokenizerConfigSchema);
  const template = await text(join(path, "chat_template.jinja"));
  return {
    path,
    tokenizer,
    chatTemplate: template ?? templateOf(words?.chat_template),
    beginText: textOf(words?.bos_token),
    endText: textOf(words?.eos_token),
    endIds: listed(
      generation?.eos_token_id ?? config?.eos_token_id ?? config?.text_config?.eos_token_id ?? null,
    ),
    vocabularySize: config?.vocab_size ?? config?.text_config?.vocab_size ?? null,
  };
}

/**
 * The folder that a server's model is in, where this machine has it too.
 * @param root as the server tells it: a folder, or a name on the hub
 * @param cache the hub's cache, by Hugging Face's layout
 * @returns null: it is not here
 */
export async function folderOf(root: string | null, cache: string): Promise<string | null> {
  if (root === null) return null;
  if (isAbsolute(root)) return (await isThere(join(root, "tokenizer.json"))) ? root : null;
  if (!/^[\w.-]+\/[\w.-]+$/.test(root)) return null;
  const kept = join(cache, `models--${root.replace("/", "--")}`);
  const revision = (await text(join(kept, "refs", "main")))?.trim();
  if (!revision || !/^[\da-f]{40}$/.test(revision)) return null;
  const folder = join(kept, "snapshots", revision);
  return (await isThere(join(folder, "tokenizer.json"))) ? folder : null;
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFile() ?? false;
}

/** null: it is not there */
async function text(path: string): Promise<string | null> {
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) return null;
  if (found.size > MOST_FILE_BYTES) throw bad(path, `it has ${found.size} bytes`);
  return readFile(path, "utf8");
}

/** undefined: it is not there */
async function json(path: string): Promise<unknown> {
  const found = await text(path);
  if (found === null) return undefined;
  try {
    return JSON.parse(found);
  } catch (error) {
    throw bad(path, "it is no JSON", error);
  }
}

function bad(path: string, why: string, cause?: unknown): EngineError {
  return new EngineError("bad_model", `${path} cannot be used: ${why}`, { cause });
}

function textOf(given: z.infer<typeof named>): string | null {
  return typeof given === "string" ? given : (given?.content ?? null);
}

function templateOf(given: z.infer<typeof tokenizerConfigSchema>["chat_template"]): string | null {
  if (typeof given === "string") return given;
  const named = (wanted: string) => given?.find(({ name }) => name === wanted)?.template ?? null;
  return oneTemplate(named("default"), named("tool_use")) ?? given?.[0]?.template ?? null;
}

function listed(given: number | number[] | null): number[] {
  return given === null ? [] : Array.isArray(given) ? given : [given];
}
