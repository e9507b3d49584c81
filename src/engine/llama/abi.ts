import koffi, { type LibraryHandle, type TypeObject } from "koffi";

/**
 * Every declaration of llama.cpp's C API that we use, and nothing else. Structures go by value, so their layout
 * belongs to one version of the library: header `include/llama.h` of the release that the pinned platform
 * packages carry. library.ts refuses any other when it loads one.
 */

/** The platform packages whose headers these declarations were compared with; package.json pins one of them. */
export const PINNED_PACKAGE_VERSIONS = ["3.21.1", "3.22.1"];
/** What `llama_version()` says in them: the same layouts in both. */
export const PINNED_LLAMA_VERSIONS = ["0.4.0-dev", "0.5.0-dev"];

export type Pointer = bigint;

/** struct llama_model_params */
export interface ModelParams {
  n_gpu_layers: number;
  split_mode: number;
  main_gpu: number;
  tensor_split: Pointer | null;
  progress_callback: Pointer | null;
  /** enum llama_load_mode; 0: read, -1: llama.cpp's choice */
  load_mode: number;
  vocab_only: boolean;
  use_extra_bufts: boolean;
  /** everything but the weights is there: buffers are only measured. Not together with mapping */
  no_alloc: boolean;
}

/** struct llama_context_params */
export interface ContextParams {
  n_ctx: number;
  n_batch: number;
  n_ubatch: number;
  n_seq_max: number;
  n_outputs_max: number;
  n_threads: number;
  n_threads_batch: number;
  no_perf: boolean;
  flash_attn_type: number;
  type_k: number;
  type_v: number;
  op_offload: boolean;
  swa_full: boolean;
  kv_unified: boolean;
}

/** LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY: of a hybrid model its recurrent state, without keys and values */
export const PARTIAL_ONLY = 1;

/** struct llama_batch: pointers to arrays of n_tokens */
export interface Batch {
  n_tokens: number;
  token: Pointer;
  embd: null;
  pos: Pointer;
  n_seq_id: Pointer;
  seq_id: Pointer;
  logits: Pointer;
}

const modelParams = koffi.struct("llama_model_params", {
  devices: "void *",
  tensor_buft_overrides: "void *",
  n_gpu_layers: "int32_t",
  split_mode: "int32_t",
  load_mode: "int32_t",
  lazy_mode: "int32_t",
  main_gpu: "int32_t",
  tensor_split: "void *",
  progress_callback: "void *",
  progress_callback_user_data: "void *",
  kv_overrides: "void *",
  vocab_only: "bool",
  check_tensors: "bool",
  use_extra_bufts: "bool",
  no_host: "bool",
  no_alloc: "bool",
  load_mtp: "bool",
});

const contextParams = koffi.struct("llama_context_params", {
  n_ctx: "uint32_t",
  n_batch: "uint32_t",
  n_ubatch: "uint32_t",
  n_seq_max: "uint32_t",
  n_rs_seq: "uint32_t",
  n_outputs_max: "uint32_t",
  n_outputs_max_per_seq: "uint32_t",
  n_threads: "int32_t",
  n_threads_batch: "int32_t",
  ctx_type: "int32_t",
  rope_scaling_type: "int32_t",
  pooling_type: "int32_t",
  attention_type: "int32_t",
  flash_attn_type: "int32_t",
  rope_freq_base: "float",
  rope_freq_scale: "float",
  yarn_ext_factor: "float",
  yarn_attn_factor: "float",
  yarn_beta_fast: "float",
  yarn_beta_slow: "float",
  yarn_orig_ctx: "uint32_t",
  defrag_thold: "float",
  cb_eval: "void *",
  cb_eval_user_data: "void *",
  type_k: "int32_t",
  type_v: "int32_t",
  abort_callback: "void *",
  abort_callback_data: "void *",
  embeddings: "bool",
  offload_kqv: "bool",
  no_perf: "bool",
  op_offload: "bool",
  swa_full: "bool",
  kv_unified: "bool",
  samplers: "void *",
  n_samplers: "size_t",
  ctx_other: "void *",
});

const batch = koffi.struct("llama_batch", {
  n_tokens: "int32_t",
  token: "void *",
  embd: "void *",
  pos: "void *",
  n_seq_id: "void *",
  seq_id: "void *",
  logits: "void *",
});

const progressCallback = koffi.pointer(
  koffi.proto("bool llama_progress_callback(float progress, void *data)"),
);

/** A JavaScript function as a callback for `progress_callback`; give it back with `koffi.unregister`. */
export function registerProgress(progress: (fraction: number) => boolean): Pointer {
  return koffi.register(progress, progressCallback);
}

type Async<Arguments extends unknown[], Result> = (
  ...all: [...Arguments, (error: unknown, result: Result) => void]
) => void;
type Native<Arguments extends unknown[], Result> = ((...all: Arguments) => Result) & {
  async: Async<Arguments, Result>;
};

/** The functions, typed. */
export interface LlamaApi {
  version(): string;
  systemInfo(): string;
  modelDefaultParams(): ModelParams;
  contextDefaultParams(): ContextParams;
  logSet(callback: Pointer | null, data: null): void;
  modelLoad: Native<[path: string, params: ModelParams], Pointer | null>;
  modelFree(model: Pointer): void;
  contextInit: Native<[model: Pointer, params: ContextParams], Pointer | null>;
  contextFree(context: Pointer): void;
  nCtx(context: Pointer): number;
  nBatch(context: Pointer): number;
  nSeqMax(context: Pointer): number;
  getMemory(context: Pointer): Pointer;
  getVocab(model: Pointer): Pointer;
  nCtxTrain(model: Pointer): number;
  nSwa(model: Pointer): number;
  isRecurrent(model: Pointer): boolean;
  isHybrid(model: Pointer): boolean;
  hasEncoder(model: Pointer): boolean;
  decode: Native<[context: Pointer, batch: Batch], number>;
  synchronize: Native<[context: Pointer], void>;
  logitsAt(context: Pointer, index: number): Pointer | null;
  seqRm(memory: Pointer, sequence: number, from: number, to: number): boolean;
  seqCp(memory: Pointer, source: number, target: number, from: number, to: number): void;
  seqPosMax(memory: Pointer, sequence: number): number;
  memoryClear(memory: Pointer, data: boolean): void;
  stateSize(context: Pointer, sequence: number): number;
  stateGet: Native<[context: Pointer, into: Pointer, bytes: number, sequence: number], number>;
  stateSet: Native<[context: Pointer, from: Pointer, bytes: number, sequence: number], number>;
  /** of a part of the state: see PARTIAL_ONLY */
  partSize(context: Pointer, sequence: number, flags: number): number;
  partGet: Native<[context: Pointer, into: Pointer, bytes: number, sequence: number, flags: number], number>;
  partSet: Native<[context: Pointer, from: Pointer, bytes: number, sequence: number, flags: number], number>;
  vocabSize(vocab: Pointer): number;
  vocabIsEog(vocab: Pointer, token: number): boolean;
  vocabText(vocab: Pointer, token: number): string;
  vocabBos(vocab: Pointer): number;
  vocabEos(vocab: Pointer): number;
  vocabAddsEos(vocab: Pointer): boolean;
  /** of the tokens that fill in the middle: below 0 where there is none */
  vocabFimPre(vocab: Pointer): number;
  vocabFimSuf(vocab: Pointer): number;
  vocabFimMid(vocab: Pointer): number;
  tokenize(
    vocab: Pointer,
    text: Uint8Array,
    bytes: number,
    tokens: Int32Array,
    most: number,
    addSpecial: boolean,
    parseSpecial: boolean,
  ): number;
  tokenToPiece(
    vocab: Pointer,
    token: number,
    buffer: Uint8Array,
    bytes: number,
    lstrip: number,
    special: boolean,
  ): number;
  supportsGpu(): boolean;
}

/** Binds the functions of a loaded libllama. @throws when one is missing */
export function bindLlama(library: LibraryHandle): LlamaApi {
  const bind = (name: string, result: TypeObject | string, args: (TypeObject | string)[]) =>
    library.func(`llama_${name}`, result, args);
  return {
    version: bind("version", "const char *", []),
    systemInfo: bind("print_system_info", "const char *", []),
    modelDefaultParams: bind("model_default_params", modelParams, []),
    contextDefaultParams: bind("context_default_params", contextParams, []),
    logSet: bind("log_set", "void", ["void *", "void *"]),
    modelLoad: bind("model_load_from_file", "void *", ["const char *", modelParams]),
    modelFree: bind("model_free", "void", ["void *"]),
    contextInit: bind("init_from_model", "void *", ["void *", contextParams]),
    contextFree: bind("free", "void", ["void *"]),
    nCtx: bind("n_ctx", "uint32_t", ["void *"]),
    nBatch: bind("n_batch", "uint32_t", ["void *"]),
    nSeqMax: bind("n_seq_max", "uint32_t", ["void *"]),
    getMemory: bind("get_memory", "void *", ["void *"]),
    getVocab: bind("model_get_vocab", "void *", ["void *"]),
    nCtxTrain: bind("model_n_ctx_train", "int32_t", ["void *"]),
    nSwa: bind("model_n_swa", "int32_t", ["void *"]),
    isRecurrent: bind("model_is_recurrent", "bool", ["void *"]),
    isHybrid: bind("model_is_hybrid", "bool", ["void *"]),
    hasEncoder: bind("model_has_encoder", "bool", ["void *"]),
    decode: bind("decode", "int32_t", ["void *", batch]),
    synchronize: bind("synchronize", "void", ["void *"]),
    logitsAt: bind("get_logits_ith", "void *", ["void *", "int32_t"]),
    seqRm: bind("memory_seq_rm", "bool", ["void *", "int32_t", "int32_t", "int32_t"]),
    seqCp: bind("memory_seq_cp", "void", ["void *", "int32_t", "int32_t", "int32_t", "int32_t"]),
    seqPosMax: bind("memory_seq_pos_max", "int32_t", ["void *", "int32_t"]),
    memoryClear: bind("memory_clear", "void", ["void *", "bool"]),
    stateSize: bind("state_seq_get_size", "size_t", ["void *", "int32_t"]),
    stateGet: bind("state_seq_get_data", "size_t", ["void *", "void *", "size_t", "int32_t"]),
    stateSet: bind("state_seq_set_data", "size_t", ["void *", "void *", "size_t", "int32_t"]),
    partSize: bind("state_seq_get_size_ext", "size_t", ["void *", "int32_t", "uint32_t"]),
    partGet: bind("state_seq_get_data_ext", "size_t", ["void *", "void *", "size_t", "int32_t", "uint32_t"]),
    partSet: bind("state_seq_set_data_ext", "size_t", ["void *", "void *", "size_t", "int32_t", "uint32_t"]),
    vocabSize: bind("vocab_n_tokens", "int32_t", ["void *"]),
    vocabIsEog: bind("vocab_is_eog", "bool", ["void *", "int32_t"]),
    vocabText: bind("vocab_get_text", "const char *", ["void *", "int32_t"]),
    vocabBos: bind("vocab_bos", "int32_t", ["void *"]),
    vocabEos: bind("vocab_eos", "int32_t", ["void *"]),
    vocabAddsEos: bind("vocab_get_add_eos", "bool", ["void *"]),
    vocabFimPre: bind("vocab_fim_pre", "int32_t", ["void *"]),
    vocabFimSuf: bind("vocab_fim_suf", "int32_t", ["void *"]),
    vocabFimMid: bind("vocab_fim_mid", "int32_t", ["void *"]),
    tokenize: bind("tokenize", "int32_t", [
      "void *",
      "const uint8_t *",
      "int32_t",
      "_Out_ int32_t *",
      "int32_t",
      "bool",
      "bool",
    ]),
    tokenToPiece: bind("token_to_piece", "int32_t", [
      "void *",
      "int32_t",
      "_Out_ uint8_t *",
      "int32_t",
      "int32_t",
      "bool",
    ]),
    supportsGpu: bind("supports_gpu_offload", "bool", []),
  } as unknown as LlamaApi;
}
