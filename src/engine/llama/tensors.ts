import { stat } from "node:fs/promises";
import type { GGUFTensorInfo } from "@huggingface/gguf";
import { EngineError } from "../engine.ts";
import { tensorBytes } from "./footprint.ts";
import type { GgufHeader } from "./header.ts";

/**
 * What a tensor table must not say, by our own reading: it needs no weights, and what computes with tensors takes the
 * table's word for it.
 * @throws EngineError `bad_model`
 */
export async function checkTensors(path: string, header: GgufHeader): Promise<void> {
  const { size } = await stat(path);
  const names = new Set<string>();
  const places: { name: string; from: number; to: number }[] = [];
  for (const tensor of header.tensors) {
    const { name, offset } = tensor;
    const wrong = (why: string) => new EngineError("bad_model", `${path}: tensor ${printable(name)} ${why}`);
    if (names.has(name)) throw wrong("is there twice");
    names.add(name);
    const problem = formProblem(tensor);
    if (problem) throw wrong(problem);
    const from = header.dataOffset + Number(offset);
    const to = from + Math.max(1, tensorBytes(tensor));
    if (to > size) {
      const message = `${path} ends ${bytesText(to - size)} too early: it is not whole; download it again`;
      throw new EngineError("bad_model", message);
    }
    places.push({ name, from, to });
  }
  places.sort((a, b) => a.from - b.from);
  for (const [i, place] of places.entries()) {
    const next = places[i + 1];
    if (!next || place.to <= next.from) continue;
    const both = `${printable(place.name)} and ${printable(next.name)}`;
    throw new EngineError("bad_model", `${path}: tensors ${both} share bytes`);
  }
}

const MOST_DIMENSIONS = 4;
/** ggml's numbers of formats */
const F32 = 0;
/** Integers, F64, and what ggml makes of activations on the way (Q8_1, Q8_K): no kernel takes them as weights. */
const NO_WEIGHTS = new Set([9, 15, 24, 25, 26, 27, 28]);

function formProblem({ name, shape, dtype }: GGUFTensorInfo): string | null {
  if (shape.length < 1 || shape.length > MOST_DIMENSIONS) return `has ${shape.length} dimensions`;
  const count = shape.reduce((product, length) => product * Number(length), 1);
  if (count < 1 || count > Number.MAX_SAFE_INTEGER) return `is ${shape.join(" x ")}`;
  if (/norm\.weight$/.test(name) && shape.length === 1 && dtype !== F32) {
    return `is of format ${dtype}, and a norm is F32`;
  }
  if (/\.weight$/.test(name) && NO_WEIGHTS.has(dtype)) return `is of format ${dtype}, which no weights have`;
  return null;
}

/** Names come from the file. */
function printable(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 64);
}

function bytesText(bytes: number): string {
  return bytes < 2 ** 20 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / 2 ** 20).toFixed(1)} MB`;
}
