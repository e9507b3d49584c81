import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Gguf, number, readGguf, Type, text, writeGguf } from "../files/gguf.ts";
import { DRAFTER } from "./processes.ts";

/**
 * Files that people give where a language model is wanted, as far as they can be told by their headers: the bundled drafter
 * with the header of another kind. Many are from the trackers of llama.cpp and ollama; the rest are from how llama.cpp reads and
 * writes files.
 */
export interface WrongFile {
  readonly name: string;
  readonly code: "no_model" | "not_gguf" | "bad_model" | "unsupported_model";
  /** what the line says */
  readonly says: RegExp;
  /** writes it into a folder, with what lies beside it. @returns the path that is given */
  readonly write: (folder: string) => string;
}

type Value = string | number | boolean;

/** A whole file, with entries of its metadata replaced or added, in what is left of its tensors. */
function withHeader(entries: Readonly<Record<string, Value>>, change: (file: Gguf) => Gguf = (file) => file) {
  const file = readGguf(new Uint8Array(readFileSync(DRAFTER)));
  const kept = file.entries.filter(({ key }) => !(key in entries));
  const added = Object.entries(entries).map(([key, value]) => ({
    ...{ key, elementType: 0, length: null },
    ...(typeof value === "string"
      ? { type: Type.string, values: [text(value)] }
      : typeof value === "boolean"
        ? { type: Type.bool, values: [Uint8Array.of(Number(value))] }
        : { type: Type.u32, values: [number(Type.u32, value)] }),
  }));
  return writeGguf(change({ ...file, entries: [...kept, ...added] }));
}

function file(name: string, bytes: () => Uint8Array): WrongFile["write"] {
  return (folder) => {
    const path = join(folder, name);
    writeFileSync(path, bytes());
    return path;
  };
}

const kind = (name: string, says: RegExp, entries: Record<string, Value>, change?: (file: Gguf) => Gguf) =>
  ({
    ...{ name, code: "unsupported_model", says },
    write: file(`${name.replaceAll(/\W/g, "-")}.gguf`, () => withHeader(entries, change)),
  }) as const satisfies WrongFile;

/** With no vocabulary, as what is no language model has none. */
const bare = (gguf: Gguf): Gguf => ({
  ...gguf,
  entries: gguf.entries.filter(({ key }) => !key.startsWith("tokenizer.")),
});

/** Tensors of the first block as those of a layer for further tokens. */
const onlyHead = (gguf: Gguf): Gguf => ({
  ...gguf,
  tensors: gguf.tensors.map((tensor) => {
    const name = new TextDecoder().decode(tensor.name);
    return { ...tensor, name: new TextEncoder().encode(name.replace("blk.0.", "blk.28.nextn.")) };
  }),
});

const format = (name: string, says: RegExp, bytes: string) =>
  ({ name, code: "not_gguf", says, write: file(name, () => Buffer.from(bytes, "latin1")) }) as const;

export const WRONG_FILES: readonly WrongFile[] = [
  kind("LoRA adapter", /is a LoRA adapter and no model: merge it/, { "general.type": "adapter" }, bare),
  kind("projector by type", /multimodal projector/, { "general.type": "mmproj" }, bare),
  kind(
    "projector by architecture",
    /multimodal projector \(mmproj\)/,
    { "general.architecture": "clip" },
    bare,
  ),
  kind("EAGLE head", /is a draft head \(EAGLE, MTP\).*lookup/, { "general.architecture": "eagle3" }, bare),
  kind("MTP assistant", /draft head/, { "general.architecture": "gemma4-assistant" }),
  kind("MTP layers alone", /draft head/, {}, onlyHead),
  kind("embedding model", /is an embedding model/, { "general.architecture": "nomic-bert" }),
  kind("embedding model by pooling", /is an embedding model/, { "llama.pooling_type": 3 }),
  kind("reranker", /is a reranker/, { "llama.pooling_type": 4 }),
  kind("bidirectional model", /is an embedding model/, { "llama.attention.causal": false }),
  kind("encoder-decoder", /encoder-decoder/, { "general.architecture": "t5" }),
  kind("diffusion model", /diffusion language model/, { "general.architecture": "llada" }),
  kind("speech decoder", /model of speech/, { "general.architecture": "wavtokenizer-dec" }, bare),
  kind("image model", /makes images/, { "general.architecture": "flux" }, bare),
  kind("importance matrix", /importance matrix/, { "general.type": "imatrix" }, bare),
  kind("control vector", /control vector/, { "general.architecture": "controlvector" }, bare),
  kind("vision model of ollama", /ollama's own/, { "general.architecture": "mllama" }),
  kind("vocabulary", /a vocabulary without weights/, {}, (gguf) => ({
    ...gguf,
    tensors: [],
    data: new Uint8Array(0),
  })),
  {
    ...{ name: "a later part", code: "unsupported_model" },
    says: /is part 2 of 3 of a model: give its first part.*-00001-of-00003\.gguf/,
    write: file("m-00002-of-00003.gguf", () => withHeader({ "split.no": 1, "split.count": 3 })),
  },
  {
    ...{
      name: "a part is missing",
      code: "no_model",
      says: /one of 2 parts .* n-00002-of-00002\.gguf is not/,
    },
    write: file("n-00001-of-00002.gguf", () => withHeader({ "split.no": 0, "split.count": 2 })),
  },
  {
    ...{ name: "a context of 4e9", code: "bad_model", says: /a context of 4,000,000,000 tokens/ },
    write: file("context.gguf", () => withHeader({ "llama.context_length": 4e9 })),
  },
  {
    ...{ name: "a context of nothing", code: "bad_model", says: /a context of 0 tokens/ },
    write: file("no-context.gguf", () => withHeader({ "llama.context_length": 0 })),
  },
  {
    ...{ name: "an unfinished download", code: "bad_model", says: /ends in nothing but zero bytes/ },
    write: file("unfinished.gguf", () => {
      const bytes = withHeader({});
      return bytes.fill(0, Math.floor(bytes.length / 2));
    }),
  },
  {
    ...{ name: "big-endian", code: "not_gguf", says: /big-endian/ },
    write: file("big.gguf", () => Buffer.from("GGUF\0\0\0\x03\0\0\0\0\0\0\0\0", "latin1")),
  },
  {
    ...{ name: "version 1", code: "not_gguf", says: /version 1/ },
    write: file("one.gguf", () => Buffer.from("GGUF\x01\0\0\0\0\0\0\0\0\0\0\0", "latin1")),
  },
  format("empty.gguf", /is empty.*download it again/, ""),
  format("zeros.gguf", /zero bytes/, "\0".repeat(5000)),
  format("old.bin", /GGML format that came before GGUF/, "tjgg\x03\0\0\0"),
  format("adapter.bin", /LoRA adapter in an old format/, "algg\x01\0\0\0"),
  format("model.safetensors", /safetensors format: convert/, '\x40\0\0\0\0\0\0\0{"__metadata__":{}}'),
  format("pytorch_model.bin", /ZIP archive/, "PK\x03\x04\0\0\0\0"),
  format("pointer.gguf", /pointer of Git LFS/, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
  format("page.gguf", /web page/, "\n<!doctype html><html>"),
  format("model.gguf.gz", /compressed: unpack/, "\x1f\x8b\x08\0\0\0\0\0"),
  format("notes.txt", /no GGUF file/, "this is no model"),
];
