/**
 * What a file is that is no language model for us, in words for the one who gave it, and what to do. GGUF files say it by
 * `general.type`, by their architecture, or by how they pool (llama.cpp: gguf-py/gguf/constants.py, src/llama-arch.cpp,
 * tools/imatrix, tools/cvector-generator); what else is taken for a model can be told by how it begins.
 */

/** What is looked at of a header. */
export interface KindOfHeader {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly { readonly name: string }[];
}

/** @returns what follows "FILE is "; null where nothing speaks against it */
export function otherKind({ metadata, tensors }: KindOfHeader): string | null {
  const architecture = String(metadata["general.architecture"] ?? "");
  return (
    BY_TYPE.get(String(metadata["general.type"] ?? "").toLowerCase()) ??
    laterPart(metadata) ??
    BY_ARCHITECTURE.get(architecture) ??
    byPooling(Number(metadata[`${architecture}.pooling_type`] ?? 0)) ??
    (metadata[`${architecture}.attention.causal`] === false ? EMBEDDER : null) ??
    (isDraftHead(metadata, tensors) ? DRAFT_HEAD : null)
  );
}

const ADAPTER =
  "a LoRA adapter and no model: merge it into the model that it was made for (llama.cpp's llama-export-lora), and give that";
const PROJECTOR =
  "a multimodal projector (mmproj), which turns images or sound into embeddings for a language model: give the language model's own file, which lies beside it";
const DRAFT_HEAD =
  "a draft head (EAGLE, MTP), which computes on a target's hidden states and drafts for that target alone: give a small model of the target's family, or --drafter lookup";
const EMBEDDER = "an embedding model, which makes vectors and no text: give a model that generates text";
const RERANKER = "a reranker, which scores texts and writes none: give a model that generates text";
const ENCODER_DECODER =
  "an encoder-decoder or encoder model, which drafts cannot be verified with: give a decoder-only model";
const DIFFUSION =
  "a diffusion language model, which fills a text in and does not write it token by token: give an autoregressive model";
const SPEECH = "a model of speech, not of text: give a model that generates text";
const IMAGES = "a model that makes images or video: give a model that generates text";

const BY_TYPE: ReadonlyMap<string, string> = new Map([
  ["adapter", ADAPTER],
  ["mmproj", PROJECTOR],
  [
    "imatrix",
    "an importance matrix, which guides a quantisation: give the model that was quantised with it, not this",
  ],
]);

const BY_ARCHITECTURE: ReadonlyMap<string, string> = new Map([
  ...named(PROJECTOR, ["clip"]),
  ...named(DRAFT_HEAD, ["eagle", "eagle2", "eagle3", "dflash", "medusa", "gemma4-assistant"]),
  ...named(EMBEDDER, [
    ...["bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3"],
    ...["eurobert", "gemma-embedding", "llama-embed"],
  ]),
  ...named(ENCODER_DECODER, ["t5", "t5encoder"]),
  ...named(DIFFUSION, ["dream", "llada", "llada-moe", "rnd1"]),
  ...named(SPEECH, ["wavtokenizer-dec", "qwen3tts", "pockettts", "whisper"]),
  ...named(IMAGES, [
    ...["sd1", "sd3", "sdxl", "flux", "aura", "hidream", "cosmos", "ltxv", "hyvid", "wan", "lumina2"],
    "qwen_image",
  ]),
  ["controlvector", "a control vector and no model: give the model that it was made for"],
  [
    "mllama",
    "in a form of ollama's own (mllama), which llama.cpp does not know: give a file that llama.cpp's convert_hf_to_gguf.py made",
  ],
]);

function named(kind: string, architectures: readonly string[]): [string, string][] {
  return architectures.map((name) => [name, kind]);
}

/** llama.cpp's `llama_pooling_type`: 0 none, 1 mean, 2 the first token, 3 the last, 4 a rank. */
function byPooling(type: number): string | null {
  if (type === 4) return RERANKER;
  return type >= 1 ? EMBEDDER : null;
}

function laterPart(metadata: KindOfHeader["metadata"]): string | null {
  const [index, count] = [Number(metadata["split.no"] ?? 0), Number(metadata["split.count"] ?? 1)];
  if (!(index > 0)) return null;
  return `part ${index + 1} of ${count} of a model: give its first part, whose name ends in -00001-of-${String(count).padStart(5, "0")}.gguf`;
}

/** Layers that predict further tokens, without those that they are put on. Files in parts may have the latter elsewhere. */
function isDraftHead(metadata: KindOfHeader["metadata"], tensors: KindOfHeader["tensors"]): boolean {
  if (Number(metadata["split.count"] ?? 1) > 1) return false;
  return (
    tensors.some(({ name }) => /\.nextn\./.test(name)) &&
    !tensors.some(({ name }) => name.startsWith("blk.0."))
  );
}

/**
 * What a file is that does not begin as a GGUF file does.
 * @param head its first bytes, 16 where it has so many
 * @returns what follows "FILE is "; null where it begins as it has to
 */
export function otherFormat(head: Uint8Array): string | null {
  const letters = String.fromCharCode(...head);
  if (letters.startsWith("GGUF")) return oddVersion(head);
  if (head.length === 0) return "empty: its download did not begin, or failed; download it again";
  if (head.every((byte) => byte === 0)) {
    return "nothing but zero bytes where it begins: its download was not finished; download it again";
  }
  const found = BEGINNINGS.find(([beginning]) => letters.trimStart().startsWith(beginning));
  const what = found?.[1] ?? (letters[8] === "{" ? SAFETENSORS : "no GGUF file");
  return `${what}; PicoSpec loads models in llama.cpp's GGUF format`;
}

const OLD_GGML = "in the GGML format that came before GGUF: take a newer file of the model";
const PACKED = "compressed: unpack it";
const WEB_PAGE = "a web page: download from the link of the file, not of its page";

const BEGINNINGS: readonly (readonly [beginning: string, what: string])[] = [
  ...["tjgg", "fmgg", "lmgg"].map((letters) => [letters, OLD_GGML] as const),
  ["algg", "a LoRA adapter in an old format, and no model"],
  ["PK\x03\x04", "a ZIP archive, as PyTorch saves models: convert the model with convert_hf_to_gguf.py"],
  ["version https://", "a pointer of Git LFS in place of the file: fetch the file with git lfs pull"],
  ...["<!doctype", "<!DOCTYPE", "<html"].map((letters) => [letters, WEB_PAGE] as const),
  ...["\x1f\x8b", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "7z\xbc\xaf"].map(
    (letters) => [letters, PACKED] as const,
  ),
];

/** Its header is JSON, after its length in eight bytes. */
const SAFETENSORS = "in the safetensors format: convert the model with llama.cpp's convert_hf_to_gguf.py";

/** Versions are small numbers, in the order of the bytes that the whole file has. */
function oddVersion(head: Uint8Array): string | null {
  if (head.length < 8) return "a GGUF file of a few bytes: download it again";
  const view = new DataView(head.buffer, head.byteOffset);
  if (view.getUint32(4, false) < 2 ** 8) {
    return "a GGUF file for big-endian machines: take the usual, little-endian one";
  }
  if (view.getUint32(4, true) === 1)
    return "a GGUF file of version 1, which llama.cpp no longer reads: take a newer one";
  return null;
}

/** llama.cpp keeps it in 31 bits. */
const MOST_CONTEXT = 2 ** 31 - 1;

/** @returns what follows "FILE "; null where the context that it names can be, or llama.cpp says what is wrong */
export function oddContext({ metadata }: KindOfHeader): string | null {
  const tokens = metadata[`${metadata["general.architecture"]}.context_length`];
  if (typeof tokens !== "number" && typeof tokens !== "bigint") return null;
  if (tokens >= 1 && tokens <= MOST_CONTEXT) return null;
  return `says that it was trained for a context of ${tokens.toLocaleString("en-US")} tokens, which cannot be: it is damaged or badly converted; take another file of the model`;
}
