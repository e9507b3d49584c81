import { readFile } from "node:fs/promises";
import { LlguidanceGrammars, type LlguidanceOptions } from "../grammar/llguidance/grammars.ts";
import { type GrammarModule, grammarModule } from "../grammar/llguidance/library.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { PicoSpecError } from "../util/errors.ts";
import { packagePath } from "./node.ts";

const LIBRARY = "engines/llguidance/llguidance.wasm";

let compiled: Promise<GrammarModule> | null = null;

/**
 * Grammars over a tokenizer's vocabulary, by the llguidance that comes with the package. 230 ms for 49,000 tokens.
 * @param endTokens may come where an answer may end
 * @throws PicoSpecError `no_grammars`
 * @example
 * import { loadGrammars, type Tokenizer } from "picospec";
 *
 * export async function firstTokens(tokenizer: Tokenizer, endTokens: number[]) {
 *   const grammars = await loadGrammars(tokenizer, endTokens);
 *   return grammars.matcher({ kind: "regex", source: "yes|no" }).allowed([], 0, 0);
 * }
 */
export async function loadGrammars(
  tokenizer: Tokenizer,
  endTokens: readonly number[],
  options: Pick<LlguidanceOptions, "limits" | "dictates"> = {},
): Promise<LlguidanceGrammars> {
  compiled ??= load();
  return new LlguidanceGrammars({ ...options, module: await compiled, tokenizer, endTokens });
}

async function load(): Promise<GrammarModule> {
  const path = packagePath(LIBRARY);
  try {
    return await grammarModule(await readFile(path));
  } catch (error) {
    const message = `the grammar library does not load from ${path}: ${error}; install the package anew`;
    throw new PicoSpecError("no_grammars", message, { cause: error });
  }
}
