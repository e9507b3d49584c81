import { EngineError } from "../../engine/engine.ts";
import { checkMagic } from "../../engine/llama/gguf.ts";
import type { GpuChoice } from "../../engine/llama/library.ts";
import { CRASHED, inChild, LATE } from "./child.ts";
import { ISOLATION_LIMITS, type IsolationLimits } from "./limits.ts";
import { type Failure, type Outcome, outcomeOf } from "./outcome.ts";
import { isKnownFine, keyOfBytes, keyOfFile, rememberFine } from "./remembered.ts";
import type { Extent, LoadedLibrary, ModelReport } from "./requests.ts";

/**
 * Model files and tokenizers are checked before this process opens them: a child process opens them first, and does with
 * them what this one will do. It takes the file's time once: files that were fine are remembered.
 */

/** @throws EngineError */
export type CheckFile = (path: string, extent: Extent) => Promise<void>;

/** @throws EngineError for a file that cannot be used, that ends or hangs its reader, or takes too much memory */
export const checkFile: CheckFile = async (path, extent) => {
  const key = await keyOfFile(path, extent);
  if (key !== null && (await isKnownFine(key))) return;
  const outcome = await inspected(path, extent);
  if (!outcome.ok) throw errorOf(outcome.failure);
};

/**
 * Looks at a file anew, and remembers it where it is fine.
 * @param signal ends the child
 */
export async function inspected(
  path: string,
  extent: Extent,
  signal?: AbortSignal,
  limits: IsolationLimits = ISOLATION_LIMITS,
): Promise<Outcome<ModelReport>> {
  const key = await keyOfFile(path, extent);
  const outcome = await inspectedIn(path, extent, limits.fileMs, limits, signal);
  // A file that was changed meanwhile has another key by now: what was seen of it is of no account.
  if (outcome.ok && key !== null && key === (await keyOfFile(path, extent))) await rememberFine(key);
  return outcome;
}

/**
 * The same for a tokenizer that came from a cloud.
 * @param path of a file with the bytes
 * @throws EngineError
 */
export async function checkTokenizer(
  bytes: Uint8Array,
  path: string,
  limits: IsolationLimits = ISOLATION_LIMITS,
): Promise<void> {
  const key = keyOfBytes(bytes);
  if (await isKnownFine(key)) return;
  const outcome = await inspectedIn(path, "vocabulary", limits.tokenizerMs, limits);
  if (!outcome.ok) throw errorOf(outcome.failure);
  await rememberFine(key);
}

/** What loading llama.cpp says, in a child: it can end its process, and keeps it busy while it loads. */
export function inspectedLibrary(gpu: GpuChoice, signal: AbortSignal): Promise<Outcome<LoadedLibrary>> {
  const { memoryBytes, heapMegabytes, fileMs } = ISOLATION_LIMITS;
  return inChild<"library">(
    { program: "files", memoryBytes, heapMegabytes },
    { kind: "library", gpu },
    fileMs,
    signal,
  );
}

async function inspectedIn(
  file: string,
  extent: Extent,
  withinMs: number,
  limits: IsolationLimits,
  signal?: AbortSignal,
): Promise<Outcome<ModelReport>> {
  const { computedBytes, memoryBytes, heapMegabytes } = limits;
  // Weights that are computed with may be copied once, into another layout.
  const options = { program: "files", memoryBytes: memoryBytes + 2 * computedBytes, heapMegabytes } as const;
  const request = { kind: "file", file, extent, computedBytes } as const;
  // What is no model at all needs no process.
  const magic = await outcomeOf(() => checkMagic(file));
  if (!magic.ok) return magic;
  const outcome = await inChild<"file">(options, request, withinMs, signal);
  return outcome.ok ? outcome : { ok: false, failure: explained(file, outcome.failure) };
}

/** What a file did to the process that opened it; what it was found to be stays as it is. */
function explained(path: string, { code, message }: Failure): Failure {
  if (code === "no_engine")
    return { code, message: `llama.cpp cannot be used: ${message}; see picospec doctor` };
  if (code !== null && code !== LATE && code !== CRASHED) return { code, message };
  const next = "it is damaged, or made to do harm: download it again, or take another";
  return { code: "bad_model", message: `${path} cannot be used: ${message}; ${next}` };
}

function errorOf({ code, message }: Failure): EngineError {
  return new EngineError(code ?? "bad_model", message);
}
