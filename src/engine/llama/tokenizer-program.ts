import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import koffi from "koffi";
import { encodePrompt } from "../../text/read-pieces.ts";
import { messageOf } from "../../util/errors.ts";
import { LlamaModel } from "./model.ts";
import { LlamaTokenizer } from "./tokenizer.ts";
import type { TokenizerAnswer, TokenizerOrder } from "./tokenizer-process.ts";

/** The program of a process of its own that reads long texts, and that may die of one: see tokenizer-process.ts. */

/** Koffi's most. The library's recursion takes some 450 bytes a character. */
koffi.config({ sync_stack_size: 16 * 1024 * 1024 });

let tokenizer: Promise<LlamaTokenizer> | null = null;

async function load(file: string | Uint8Array): Promise<LlamaTokenizer> {
  if (typeof file === "string") return open(file);
  const folder = await mkdtemp(join(tmpdir(), "picospec-"));
  try {
    const path = join(folder, "tokenizer.gguf");
    await writeFile(path, file);
    return await open(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function open(path: string): Promise<LlamaTokenizer> {
  return new LlamaTokenizer(await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true }));
}

async function answer(order: TokenizerOrder): Promise<TokenizerAnswer> {
  if (order.kind === "load") {
    tokenizer = load(order.file);
    await tokenizer;
    return { ok: true, tokens: null };
  }
  const reader = await tokenizer!;
  return { ok: true, tokens: encodePrompt(order.prompt, reader) };
}

function failure(error: unknown): TokenizerAnswer {
  return { ok: false, message: messageOf(error) };
}

process.on("message", (order: TokenizerOrder) => {
  answer(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.(failure(error)),
  );
});
