import { writeFileSync } from "node:fs";

/**
 * GGUF files, written. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

export interface Tensor {
  readonly name: string;
  /** fastest dimension first, as GGUF has it */
  readonly shape: readonly number[];
  readonly values: Float32Array;
  readonly format: Format;
}

export type Format = keyof typeof FORMATS;

/** One key of the metadata, as the file has it. */
export type Entry = Uint8Array;

const ALIGNMENT = 32;
const VERSION = 3;
/** GGUF value types. */
const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

/** ggml's number of each, and its bytes. */
const FORMATS = {
  F32: { type: 0, encode: (values: Float32Array) => new Uint8Array(values.buffer) },
  F16: { type: 1, encode: float16 },
  Q4_0: { type: 2, encode: fourBits },
  Q8_0: { type: 8, encode: eightBits },
};
const BLOCK = 32;

export const string = (key: string, value: string): Entry => entry(key, TYPE.string, text(value));
export const integer = (key: string, value: number): Entry => entry(key, TYPE.u32, u32(value));
export const float = (key: string, value: number): Entry => entry(key, TYPE.f32, f32(value));
export const integers = (key: string, values: readonly number[]): Entry =>
  entry(key, TYPE.array, u32(TYPE.i32), u64(values.length), ...values.map(u32));
export const floats = (key: string, values: readonly number[]): Entry =>
  entry(key, TYPE.array, u32(TYPE.f32), u64(values.length), ...values.map(f32));
export const strings = (key: string, values: readonly string[]): Entry =>
  entry(key, TYPE.array, u32(TYPE.string), u64(values.length), ...values.map(text));
export const boolean = (key: string, value: boolean): Entry =>
  entry(key, TYPE.bool, Uint8Array.of(Number(value)));
export const booleans = (key: string, values: readonly boolean[]): Entry =>
  entry(key, TYPE.array, u32(TYPE.bool), u64(values.length), Uint8Array.from(values, Number));

export function writeGguf(path: string, metadata: readonly Entry[], tensors: readonly Tensor[]): void {
  const parts: Uint8Array[] = [
    ascii("GGUF"),
    u32(VERSION),
    u64(tensors.length),
    u64(metadata.length),
    ...metadata,
  ];
  const body: Uint8Array[] = [];
  let offset = 0;
  for (const { name, shape, values, format } of tensors) {
    const { type, encode } = FORMATS[format];
    const bytes = encode(values);
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(type), u64(offset));
    body.push(bytes, new Uint8Array(padded(bytes.length) - bytes.length));
    offset += padded(bytes.length);
  }
  const header = Buffer.concat(parts);
  const gap = new Uint8Array(padded(header.length) - header.length);
  writeFileSync(path, Buffer.concat([header, gap, ...body]));
}

/** To IEEE half precision, rounding to nearest; the weights here are small normal numbers or 0. */
export function float16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const exponent = ((word >>> 23) & 0xff) - 112;
    const rounded = ((exponent << 10) | ((word >>> 13) & 0x3ff)) + ((word >>> 12) & 1);
    halves[i] = ((word >>> 16) & 0x8000) + (exponent <= 0 ? 0 : rounded);
  }
  return new Uint8Array(halves.buffer);
}

/** Blocks of 32 values: a scale in F16, and 8 bits each. */
function eightBits(values: Float32Array): Uint8Array {
  return blocks(values, BLOCK, (block, put) => {
    const scale = largest(block) / 127 || 1;
    put(scale, (i) => Math.round(block[i]! / scale) & 0xff);
  });
}

/** The same with 4 bits each, the first half of a block in the low ones. */
function fourBits(values: Float32Array): Uint8Array {
  return blocks(values, BLOCK / 2, (block, put) => {
    const scale = largest(block) / -8 || 1;
    const level = (value: number) => Math.min(15, Math.max(0, Math.round(value / scale) + 8));
    put(scale, (i) => level(block[i]!) | (level(block[i + BLOCK / 2]!) << 4));
  });
}

/** The value that is furthest from 0, with its sign. */
function largest(block: Float32Array): number {
  return block.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
}

type PutBlock = (scale: number, byteAt: (index: number) => number) => void;

function blocks(
  values: Float32Array,
  blockBytes: number,
  fill: (block: Float32Array, put: PutBlock) => void,
): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * (2 + blockBytes));
  for (let from = 0, at = 0; from < values.length; from += BLOCK, at += 2 + blockBytes) {
    fill(values.subarray(from, from + BLOCK), (scale, byteAt) => {
      bytes.set(float16(Float32Array.of(scale)), at);
      for (let i = 0; i < blockBytes; i++) bytes[at + 2 + i] = byteAt(i);
    });
  }
  return bytes;
}

function entry(key: string, type: number, ...value: Uint8Array[]): Entry {
  return Buffer.concat([text(key), u32(type), ...value]);
}

export function padded(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function ascii(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: string): Uint8Array {
  const bytes = ascii(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function f32(value: number): Uint8Array {
  return new Uint8Array(Float32Array.of(value).buffer);
}
