import { stat } from "node:fs/promises";
import { EngineError } from "../../engine/engine.ts";
import { modelDetails } from "../../engine/llama/details.ts";
import { footprintOf } from "../../engine/llama/footprint.ts";
import { checkParts, modelFileOf, partsOf, readHeader } from "../../engine/llama/gguf.ts";
import { type GpuChoice, loadLibrary } from "../../engine/llama/library.ts";
import { LlamaModel } from "../../engine/llama/model.ts";
import { checkTensors } from "../../engine/llama/tensors.ts";
import { LlamaTokenizer } from "../../engine/llama/tokenizer.ts";
import { tryPasses, tryStructure } from "../../engine/llama/trial.ts";
import { checkWritten } from "../../engine/llama/unwritten.ts";
import { vocabularyFile } from "../../engine/llama/vocabulary.ts";
import type { WeightsFile } from "../../engine/llama/weights.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { loadGrammars } from "../grammars.ts";
import { LOADING_LIBRARY, type LoadedLibrary, type ModelReport, type Request } from "./requests.ts";
import { TRIAL_TEXTS } from "./trial-texts.ts";

/** What a child process does with a file: all that this process will do with it later, on a small scale. */

export function inspectLibrary(gpu: GpuChoice): LoadedLibrary {
  const { build, version, usesGpu } = loadLibrary(gpu);
  return { build, version, usesGpu };
}

/**
 * @param stage hears what begins
 * @throws EngineError for a file that cannot be used; a bad one may also end the process
 */
export async function inspectFile(
  { file: path, extent, computedBytes }: Extract<Request, { kind: "file" }>,
  stage: (stage: string) => Promise<void>,
): Promise<ModelReport> {
  await stage("reading its header");
  const parts = partsOf(path);
  await checkParts(parts);
  const files: WeightsFile[] = [];
  for (const part of parts) files.push({ path: part, header: await readHeader(part) });
  const { header } = files[0]!;
  const file = modelFileOf(path, header);
  if (extent === "whole") checkWeights(files);
  for (const part of files) {
    await checkTensors(part.path, part.header);
    await checkWritten(part.path, part.header);
  }
  const sizes = await Promise.all(parts.map((part) => stat(part)));
  const sizeBytes = sizes.reduce((sum, { size }) => sum + size, 0);
  await stage(LOADING_LIBRARY);
  loadLibrary("off");
  await stage("loading its tokenizer");
  const vocabulary = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true, file });
  await stage("using its tokenizer");
  const tokenizer = new LlamaTokenizer(vocabulary);
  useTokenizer(tokenizer);
  await loadGrammars(tokenizer, tokenizer.endTokens());
  vocabulary.close();
  if (extent === "whole") {
    // What a cloud says of its target, and sends to edges.
    await modelDetails(files);
    await vocabularyFile(path);
    await stage("laying out its tensors");
    await tryStructure(file);
    if (sizeBytes <= computedBytes) {
      await stage("computing with it");
      await tryPasses(file);
    }
  }
  return { file, footprint: footprintOf(sizeBytes, header) };
}

/** Edges are sent vocabularies alone; others make them to test tokenizers. @throws EngineError */
function checkWeights(files: readonly WeightsFile[]): void {
  if (files.some(({ header }) => header.tensors.length > 0)) return;
  const message = `${files[0]!.path} is a vocabulary without weights: give the model itself`;
  throw new EngineError("unsupported_model", message);
}

/** Every token to text; and text of all kinds, and the text of every token, to tokens. */
function useTokenizer(tokenizer: Tokenizer): void {
  const decoder = new TextDecoder();
  let all = "";
  for (let token = 0; token < tokenizer.vocabularySize; token++) {
    all += decoder.decode(tokenizer.piece(token));
    if (all.length < MOST_AT_ONCE) continue;
    for (const special of [true, false]) tokenizer.encode(all, special);
    all = "";
  }
  for (const text of [all, tokenizer.beginText, tokenizer.endText, ...TRIAL_TEXTS]) {
    for (const special of [true, false]) tokenizer.encode(text, special);
  }
}

/** Characters: some tokenizers take a time that grows with the square of a word's length. */
const MOST_AT_ONCE = 2000;
