import { type VocabularyTable, writeEntry } from "../../decoding/vocabulary-pair.ts";
import { assert } from "../../util/assert.ts";
import { identityOf, isControl, isUnused, tokenizerList } from "./fingerprint.ts";
import { type GgufMetadata, readMetadataOf } from "./header.ts";
import type { MetadataList } from "./metadata-list.ts";

/** What `tokenizer.ggml.model` means to llama.cpp (src/llama-vocab.cpp). */
const TYPES: Readonly<Record<string, string>> = {
  ...{ llama: "SPM", gpt2: "BPE", gemma4: "BPE", hybriddna: "BPE", whitespace: "BPE" },
  ...{ bert: "WPM", t5: "UGM", rwkv: "RWKV" },
};

/** What converters fill vocabularies up with, whatever type they give it. */
const PADDING = /^(?:\[PAD\d*\]|<pad>|<dummy\d+>)$/;
const MOST_PADDING_BYTES = 16;
const [BRACKET, LESS] = [0x5b, 0x3c];

/** What a file's vocabulary is compared by. @throws EngineError `bad_model` */
export async function readVocabularyTable(path: string): Promise<VocabularyTable> {
  return vocabularyTable(await readMetadataOf(path));
}

/** @param found of a model that has a vocabulary */
export function vocabularyTable(found: GgufMetadata): VocabularyTable {
  const { metadata } = found;
  const tokens = tokenizerList(metadata, "tokens");
  assert(tokens?.texts, "a vocabulary has texts");
  const types = tokenizerList(metadata, "token_type");
  const { bytes, starts } = tokens.texts;
  const entries = new Uint32Array(2 * tokens.length);
  let end = 0;
  for (let id = 0; id < tokens.length; id++) {
    const type = types && id < types.length ? types.number(id) : 0;
    const padding = isUnused(type) || isPadding(tokens, id, bytes[starts[id]!]!);
    if (!padding) end = id + 1;
    const from = starts[id]!;
    writeEntry(entries, id, bytes, from, from + tokens.textBytes(id), padding || isControl(type));
  }
  const named = String(metadata["tokenizer.ggml.model"]);
  return {
    type: Object.hasOwn(TYPES, named) ? TYPES[named]! : named,
    ids: tokens.length,
    tokens: end,
    identity: identityOf(found),
    entries,
    text: (id) => tokens.text(id),
  };
}

function isPadding(tokens: MetadataList, id: number, first: number): boolean {
  if ((first !== BRACKET && first !== LESS) || tokens.textBytes(id) > MOST_PADDING_BYTES) return false;
  return PADDING.test(tokens.text(id));
}
