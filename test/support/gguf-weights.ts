import { readFileSync } from "node:fs";
import { GGMLQuantizationType, gguf } from "@huggingface/gguf";

/** The numbers of a GGUF file, read without llama.cpp: no kernel has a say in them. */

/** Values of one Q8_0 block: a half-precision scale, and this many multiples of it as signed bytes. */
const BLOCK = 32;
const BLOCK_BYTES = 2 + BLOCK;

export interface Weights {
  /** Float32Array[all numbers of the tensor], row after row */
  readonly values: Float32Array;
  /** of each block of 32 values, Q8_0 only: the distance between values that it can have */
  readonly steps: Float32Array | null;
  /** of the tensor's first byte in the file */
  readonly offsetBytes: number;
}

/** Tensors by name. Knows F32, F16 and Q8_0, which is what the recipe writes. */
export async function readWeights(path: string): Promise<Map<string, Weights>> {
  const { tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
  const file = readFileSync(path);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  return new Map(
    tensorInfos.map(({ name, dtype, shape, offset }) => {
      const count = shape.reduce((product, length) => product * Number(length), 1);
      return [name, tensor(view, Number(tensorDataOffset + offset), count, dtype)];
    }),
  );
}

function tensor(view: DataView, offsetBytes: number, count: number, type: GGMLQuantizationType): Weights {
  if (type === GGMLQuantizationType.F32) {
    const values = Float32Array.from({ length: count }, (_, i) => view.getFloat32(offsetBytes + 4 * i, true));
    return { values, steps: null, offsetBytes };
  }
  if (type === GGMLQuantizationType.F16) {
    const values = Float32Array.from({ length: count }, (_, i) =>
      halfValue(view.getUint16(offsetBytes + 2 * i, true)),
    );
    return { values, steps: null, offsetBytes };
  }
  if (type !== GGMLQuantizationType.Q8_0) throw new Error(`tensors of type ${type} are not known here`);
  const block = (i: number) => offsetBytes + BLOCK_BYTES * i;
  const steps = Float32Array.from({ length: count / BLOCK }, (_, i) =>
    halfValue(view.getUint16(block(i), true)),
  );
  const values = Float32Array.from({ length: count }, (_, i) => {
    const at = Math.floor(i / BLOCK);
    return steps[at]! * view.getInt8(block(at) + 2 + (i % BLOCK));
  });
  return { values, steps, offsetBytes };
}

/** IEEE 754 binary16. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * fraction * 2 ** -14;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction) * 2 ** (exponent - 15);
}

/** Half precision ends at multiples of 2^-24: half of one in the scale is this much in the largest value, 127 steps. */
const FINEST = 128 * 2 ** -25;

/**
 * How far Q8_0 weights are from F16 weights of the same training at the most, in steps of their block. Right files are
 * at most 1/2 + 2 * 127 / 2048 = 0.624 apart: the rounding to a multiple, and those of the scale and of the F16 value
 * to half precision, each at most 2^-11 of the largest value in the block, 127 steps. Values so small that half
 * precision itself is coarser may be FINEST off besides. A tensor that differs in shape, or a vector (F32 in both)
 * that differs at all, is infinitely far.
 */
export function furthestSteps(
  quantised: ReadonlyMap<string, Weights>,
  half: ReadonlyMap<string, Weights>,
): number {
  if ([...quantised.keys()].join() !== [...half.keys()].join()) return Number.POSITIVE_INFINITY;
  let furthest = 0;
  for (const [name, { values, steps }] of quantised) {
    const other = half.get(name)!.values;
    if (other.length !== values.length) return Number.POSITIVE_INFINITY;
    for (const [i, value] of values.entries()) {
      const off = Math.abs(value - other[i]!) - (steps ? FINEST : 0);
      if (off > 0) furthest = Math.max(furthest, off / (steps?.[Math.floor(i / BLOCK)] ?? 0));
    }
  }
  return furthest;
}

/** A copy of a GGUF file in which the scales of so many blocks of a Q8_0 tensor are twice what they were. */
export function withDoubledScales(
  file: Uint8Array,
  { offsetBytes, steps }: Weights,
  blocks = steps?.length ?? 0,
): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  for (let i = 0; i < blocks; i++) {
    const at = offsetBytes + BLOCK_BYTES * i;
    // One more in the exponent; a scale of 0 stays what it is.
    const bits = view.getUint16(at, true);
    if (bits & 0x7c00) view.setUint16(at, bits + 0x400, true);
  }
  return copy;
}
