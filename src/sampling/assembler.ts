/**
 * Enough of an assembler for small WebAssembly modules: kernels are written here instruction by instruction, so that there is
 * no build step and no binary that cannot be read.
 *
 * Opcodes: WebAssembly Core Specification 2.0, section 5.4 (https://www.w3.org/TR/wasm-core-2/#binary-instr).
 */

export type Code = readonly number[];

export const TYPE_I32 = 0x7f;
export const TYPE_F32 = 0x7d;
export const TYPE_F64 = 0x7c;
export const TYPE_V128 = 0x7b;
export const TYPE_NONE = 0x40;

export function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const last = value >= -0x40 && value < 0x40;
  return last ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const section = (id: number, content: Code): Code => [id, ...sized(content)];
const name = (text: string): Code => sized([...text].map((letter) => letter.charCodeAt(0)));
const listed = (items: readonly Code[]): Code => [...unsigned(items.length), ...items.flat()];

export const LOOP = 0x03;
export const END = 0x0b;
export const BRANCH_IF = 0x0d;
export const ADD = 0x6a;
export const SUBTRACT = 0x6b;
export const get = (local: number): Code => [0x20, local];
export const set = (local: number): Code => [0x21, local];
export const tee = (local: number): Code => [0x22, local];
export const integer = (value: number): Code => [0x41, ...signed(value | 0)];
export const double = (value: number): Code => [0x44, ...new Uint8Array(Float64Array.of(value).buffer)];
export const vector = (opcode: number): Code => [0xfd, ...unsigned(opcode)];

/** A function of a module: its instructions are without the final `end`. */
export interface KernelFunction {
  readonly name: string;
  readonly parameters: readonly number[];
  readonly results: readonly number[];
  /** [how many, type] in the order of their numbers, which go on from the parameters' */
  readonly locals: readonly (readonly [number, number])[];
  readonly code: Code;
}

/** A module of these functions over one memory, exported as `memory`. */
function assemble(functions: readonly KernelFunction[], pages: number): Uint8Array {
  const types = functions.map(({ parameters, results }) => [0x60, ...sized(parameters), ...sized(results)]);
  const exported = functions.map((made, i) => [...name(made.name), 0, i]);
  const bodies = functions.map(({ locals, code }) =>
    sized([...listed(locals.map(([count, type]) => [...unsigned(count), type])), ...code, END]),
  );
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, listed(types)),
    ...section(3, listed(functions.map((_, i) => [i]))),
    ...section(5, [1, 0, ...unsigned(pages)]),
    ...section(7, listed([[...name("memory"), 2, 0], ...exported])),
    ...section(10, listed(bodies)),
  ]);
}

/** What of the WebAssembly API is used: TypeScript's own declarations come with the DOM only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: unknown };
};

/** The memory of a module; growing it gives it another buffer. */
export interface KernelMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/**
 * @param T what the functions are in JavaScript
 * @returns null where there is no WebAssembly with vectors, or a page's security policy forbids it
 */
export function instantiate<T>(
  functions: readonly KernelFunction[],
  pages: number,
): (T & { readonly memory: KernelMemory }) | null {
  try {
    const module = new WebAssembly.Module(assemble(functions, pages));
    return new WebAssembly.Instance(module).exports as T & { readonly memory: KernelMemory };
  } catch {
    return null;
  }
}

/** Four 32-bit numbers, from or to an address and so many bytes behind it. */
export const load = (offset: number): Code => [...vector(0x00), 4, ...unsigned(offset)];
export const store = (offset: number): Code => [...vector(0x0b), 4, ...unsigned(offset)];
