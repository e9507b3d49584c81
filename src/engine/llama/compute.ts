import { SettingError } from "../../util/errors.ts";
import type { GpuChoice } from "./library.ts";

/** What keys and values are kept as: smaller ones are less exact. */
export type KvType = "f16" | "q8_0" | "q4_0";
export type FlashAttention = "auto" | "on" | "off";

/** How llama.cpp computes, beside the threads. What is not given is llama.cpp's own default. */
export interface ComputeOptions {
  /** layers that a GPU computes, from the last. Default: all of them */
  readonly gpuLayers?: number | undefined;
  /** the GPU that computes all of it, from 0. Default: all GPUs share it */
  readonly mainGpu?: number | undefined;
  /** how much of the model each GPU gets, such as [3, 1]. Default: by their memory */
  readonly tensorSplit?: readonly number[] | undefined;
  /** of keys and values in the cache. Default: `f16` */
  readonly kvType?: KvType | undefined;
  /** attention without a matrix of all scores. Default: `auto`, where it can be had */
  readonly flashAttn?: FlashAttention | undefined;
  /** the weights stay in memory, where the system allows that. Default: false */
  readonly mlock?: boolean | undefined;
  /** of the CPU, where a pass has more than one token. Default: as `threads` */
  readonly threadsBatch?: number | undefined;
}

export const KV_TYPES: readonly KvType[] = ["f16", "q8_0", "q4_0"];
export const FLASH_ATTENTION: readonly FlashAttention[] = ["auto", "on", "off"];
/** ggml's numbers of them. */
const GGML_TYPES: Record<KvType, number> = { f16: 1, q8_0: 8, q4_0: 2 };
/** enum llama_flash_attn_type */
const FLASH_TYPES: Record<FlashAttention, number> = { auto: -1, off: 0, on: 1 };
/** enum llama_split_mode */
const ONE_GPU = 0;
/** enum llama_load_mode: mapped, and locked */
const LOCKED = 3;
/** llama_max_devices() of all builds */
export const MOST_GPUS = 16;
const MOST_LAYERS = 10_000;
const MOST_THREADS = 512;

/**
 * @throws SettingError for a value that cannot be, or values that do not go together
 * @example
 * import { checkCompute } from "./compute.ts";
 *
 * checkCompute({ kvType: "q8_0", threadsBatch: 8 }, "auto");
 */
export function checkCompute(options: ComputeOptions, gpu: GpuChoice): void {
  const { kvType = "f16", flashAttn = "auto", mainGpu, tensorSplit } = options;
  range("gpuLayers", options.gpuLayers, 0, MOST_LAYERS);
  range("mainGpu", mainGpu, 0, MOST_GPUS - 1);
  range("threadsBatch", options.threadsBatch, 1, MOST_THREADS);
  choice("kvType", kvType, KV_TYPES);
  choice("flashAttn", flashAttn, FLASH_ATTENTION);
  if (tensorSplit && !isSplit(tensorSplit)) {
    const message = `tensorSplit is 1 to ${MOST_GPUS} numbers of 0 or more, such as 3,1, and not all 0`;
    throw new SettingError("tensorSplit", message);
  }
  if (mainGpu !== undefined && tensorSplit) {
    throw new SettingError("tensorSplit", "give mainGpu for one GPU, or tensorSplit for several, not both");
  }
  if (kvType !== "f16" && flashAttn === "off") {
    const message = `kvType ${kvType} needs flash attention; leave flashAttn at auto, or take kvType f16`;
    throw new SettingError("kvType", message);
  }
  const wanted = firstGpuOption(options);
  if (gpu === "off" && wanted) throw new SettingError(wanted, `${wanted} is for a GPU, and gpu is off`);
}

/** The first option that means nothing without a GPU. */
export function firstGpuOption(options: ComputeOptions): keyof ComputeOptions | undefined {
  const { gpuLayers = 0, mainGpu, tensorSplit } = options;
  if (gpuLayers > 0) return "gpuLayers";
  return mainGpu === undefined ? tensorSplit && "tensorSplit" : "mainGpu";
}

function isSplit(parts: readonly number[]): boolean {
  const right = parts.every((part) => Number.isFinite(part) && part >= 0);
  return right && parts.length >= 1 && parts.length <= MOST_GPUS && parts.some((part) => part > 0);
}

function range(name: string, value: number | undefined, low: number, high: number): void {
  if (value === undefined || (Number.isInteger(value) && value >= low && value <= high)) return;
  throw new SettingError(name, `${name} is a whole number from ${low} to ${high}, not ${value}`);
}

function choice(name: string, value: string, among: readonly string[]): void {
  if (!among.includes(value)) {
    throw new SettingError(name, `${name} is ${among.join(", ")}, not ${value}`);
  }
}

/** Of options that have more: these, where they are given. */
export function computeOf(options: ComputeOptions): ComputeOptions {
  const { gpuLayers, mainGpu, tensorSplit, kvType, flashAttn, mlock, threadsBatch } = options;
  const all = { gpuLayers, mainGpu, tensorSplit, kvType, flashAttn, mlock, threadsBatch };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** For llama_model_params. @param split memory for `tensor_split`, which has to stay while the model is loaded */
export function modelParamsOf(
  { gpuLayers, mainGpu, tensorSplit, mlock }: ComputeOptions,
  split: SplitMemory,
) {
  return {
    ...(gpuLayers === undefined ? {} : { n_gpu_layers: gpuLayers }),
    ...(mainGpu === undefined ? {} : { main_gpu: mainGpu, split_mode: ONE_GPU }),
    ...(tensorSplit ? { tensor_split: split(tensorSplit) } : {}),
    ...(mlock ? { load_mode: LOCKED } : {}),
  };
}

type SplitMemory = (parts: readonly number[]) => bigint;

/** For llama_context_params. */
export function contextParamsOf({ kvType = "f16", flashAttn = "auto" }: ComputeOptions) {
  const type = GGML_TYPES[kvType];
  return { type_k: type, type_v: type, flash_attn_type: FLASH_TYPES[flashAttn] };
}

/**
 * What of it changes the numbers of attention, for the target's identity. undefined: nothing does. On a CPU there is flash
 * attention for all models, so that `auto` is `on`.
 */
export function attentionIdentity(
  { kvType = "f16", flashAttn = "auto" }: ComputeOptions,
  onCpu: boolean,
): string | undefined {
  const usual = flashAttn === "auto" || (onCpu && flashAttn === "on");
  const parts = [
    ...(kvType === "f16" ? [] : [`KV ${kvType}`]),
    ...(usual ? [] : [`flash attention ${flashAttn}`]),
  ];
  return parts.length === 0 ? undefined : parts.join(", ");
}

/** Where layers are computed, of a GPU. "": where llama.cpp puts them */
export function placementIdentity({ gpuLayers, mainGpu, tensorSplit }: ComputeOptions): string {
  return [
    ...(gpuLayers === undefined ? [] : [`, ${gpuLayers} layers`]),
    ...(mainGpu === undefined ? [] : [`, GPU ${mainGpu}`]),
    ...(tensorSplit ? [`, split ${tensorSplit.join(":")}`] : []),
  ].join("");
}

/** What is used, in a line for people. @param build of llama.cpp */
export function computeText(
  options: ComputeOptions & { readonly threads: number },
  { build, onCpu }: { readonly build: string; readonly onCpu: boolean },
): string {
  const { kvType = "f16", flashAttn = "auto", gpuLayers, threads, threadsBatch = threads } = options;
  const layers = `${gpuLayers ?? "all"} layers on the GPU${placementIdentity({ ...options, gpuLayers: undefined })}`;
  const batch = threadsBatch === threads ? "" : ` (${threadsBatch} for batches)`;
  const where = onCpu ? `CPU, ${threads} ${threads === 1 ? "thread" : "threads"}${batch}` : `${layers}`;
  return `${build}: ${where}, KV ${kvType}, flash attention ${flashAttn}${options.mlock ? ", locked in memory" : ""}`;
}
