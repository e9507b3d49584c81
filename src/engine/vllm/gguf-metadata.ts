/** GGUF files of metadata alone, written. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */

/** Value types by their numbers in the format. */
const Type = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

const VERSION = 3;

export type GgufValue =
  | { readonly kind: "u32"; readonly value: number }
  | { readonly kind: "f32"; readonly value: number }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  | { readonly kind: "i32s"; readonly value: readonly number[] }
  | { readonly kind: "f32s"; readonly value: readonly number[] };

/** A file without tensors. @param entries by key, in order */
export function ggufOf(entries: readonly (readonly [key: string, value: GgufValue])[]): Uint8Array {
  const head = Buffer.concat([Buffer.from("GGUF"), u32(VERSION), u64(0), u64(entries.length)]);
  return Buffer.concat([head, ...entries.flatMap(([key, value]) => [text(key), bytesOf(value)])]);
}

function bytesOf(value: GgufValue): Buffer {
  switch (value.kind) {
    case "u32":
      return Buffer.concat([u32(Type.u32), u32(value.value)]);
    case "f32":
      return Buffer.concat([u32(Type.f32), Buffer.from(Float32Array.of(value.value).buffer)]);
    case "bool":
      return Buffer.concat([u32(Type.bool), Buffer.of(Number(value.value))]);
    case "string":
      return Buffer.concat([u32(Type.string), text(value.value)]);
    case "strings":
      return list(Type.string, value.value.length, Buffer.concat(value.value.map(text)));
    case "i32s":
      return list(Type.i32, value.value.length, Buffer.from(Int32Array.from(value.value).buffer));
    case "f32s":
      return list(Type.f32, value.value.length, Buffer.from(Float32Array.from(value.value).buffer));
    default:
      return value satisfies never;
  }
}

function list(type: number, length: number, elements: Buffer): Buffer {
  return Buffer.concat([u32(Type.array), u32(type), u64(length), elements]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
