/**
 * A GGUF file as a structure that can be taken apart and written wrong: nothing here is checked on the way out.
 * Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

/** Numbers of GGUF's value types. */
export const Type = {
  u8: 0,
  i8: 1,
  u16: 2,
  i16: 3,
  u32: 4,
  i32: 5,
  f32: 6,
  bool: 7,
  string: 8,
  array: 9,
} as const;
const WIDE = { u64: 10, i64: 11, f64: 12 } as const;
const BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

export interface Entry {
  key: string;
  type: number;
  /** of an array: the type that it says its elements have */
  elementType: number;
  /** of an array: the length that it says, where that is not how many there are */
  length: bigint | null;
  /** encoded values: one, or the elements of an array */
  values: Uint8Array[];
}

export interface Tensor {
  name: Uint8Array;
  dimensions: bigint[];
  /** the number of dimensions that it says, where that is not how many there are */
  count: number | null;
  type: number;
  offset: bigint;
}

export interface Gguf {
  version: number;
  /** what the file says, where that is not how many there are */
  tensorCount: bigint | null;
  entryCount: bigint | null;
  entries: Entry[];
  tensors: Tensor[];
  data: Uint8Array;
}

const ALIGNMENT = 32;

export function readGguf(bytes: Uint8Array): Gguf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 4;
  const move = (count: number) => {
    at += count;
    return at - count;
  };
  const take = (count: number) => bytes.slice(move(count), at);
  const small = () => view.getUint32(move(4), true);
  const large = () => view.getBigUint64(move(8), true);
  const string = () => take(Number(view.getBigUint64(at, true)) + 8);
  const value = (type: number) => (type === Type.string ? string() : take(BYTES[type]!));
  const version = small();
  const tensorCount = Number(large());
  const entryCount = Number(large());
  const entries = Array.from({ length: entryCount }, (): Entry => {
    const key = new TextDecoder().decode(string().subarray(8));
    const type = small();
    if (type !== Type.array) return { key, type, elementType: 0, length: null, values: [value(type)] };
    const elementType = small();
    const length = Number(large());
    const values = Array.from({ length }, () => value(elementType));
    return { key, type, elementType, length: null, values };
  });
  const tensors = Array.from({ length: tensorCount }, (): Tensor => {
    const name = string().subarray(8);
    const dimensions = Array.from({ length: small() }, large);
    return { name, dimensions, count: null, type: small(), offset: large() };
  });
  const data = bytes.slice(Math.ceil(at / ALIGNMENT) * ALIGNMENT);
  return { version, tensorCount: null, entryCount: null, entries, tensors, data };
}

export function writeGguf(file: Gguf): Uint8Array {
  const parts: Uint8Array[] = [new TextEncoder().encode("GGUF"), u32(file.version)];
  parts.push(u64(file.tensorCount ?? BigInt(file.tensors.length)));
  parts.push(u64(file.entryCount ?? BigInt(file.entries.length)));
  for (const entry of file.entries) parts.push(entryBytes(entry));
  for (const { name, dimensions, count, type, offset } of file.tensors) {
    parts.push(u64(BigInt(name.length)), name, u32(count ?? dimensions.length), ...dimensions.map(u64));
    parts.push(u32(type), u64(offset));
  }
  const header = Buffer.concat(parts);
  if (file.tensors.length === 0 && file.data.length === 0) return header;
  const padding = new Uint8Array(Math.ceil(header.length / ALIGNMENT) * ALIGNMENT - header.length);
  return Buffer.concat([header, padding, file.data]);
}

/** A key and its value, as a file has them. */
export function entryBytes({ key, type, elementType, length, values }: Entry): Uint8Array {
  const shape = type === Type.array ? [u32(elementType), u64(length ?? BigInt(values.length))] : [];
  return Buffer.concat([text(key), u32(type), ...shape, Buffer.concat(values)]);
}

/** A value of a type that holds numbers; what does not fit wraps around. */
export function number(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(BYTES[type] ?? 4);
  const view = new DataView(bytes.buffer);
  const whole = BigInt(Number.isFinite(value) ? Math.trunc(value) : 0);
  if (type === Type.f32) view.setFloat32(0, value, true);
  else if (type === WIDE.f64) view.setFloat64(0, value, true);
  else if (type === WIDE.u64 || type === WIDE.i64) view.setBigInt64(0, whole, true);
  else for (let i = 0; i < bytes.length; i++) bytes[i] = Number((whole >> BigInt(8 * i)) & 255n);
  return bytes;
}

export function text(value: string | Uint8Array): Uint8Array {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return Buffer.concat([u64(BigInt(bytes.length)), bytes]);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
