import { Purpose } from "./random.ts";

/**
 * Philox4x32-10 (see random.ts) for four blocks at a time, as a WebAssembly module with 128-bit vectors:
 * JavaScript has no 64-bit product, and takes twelve times as long. The module is assembled here, instruction by
 * instruction, so that there is no build step and no binary that cannot be read.
 *
 * Opcodes: WebAssembly Core Specification 2.0, section 5.4 (https://www.w3.org/TR/wasm-core-2/#binary-instr).
 */

/** `fill(block, count, position, seed low, seed high)` writes the shortfalls of 2 * count tokens. */
export interface NoiseKernel {
  /** count is a multiple of 4 */
  readonly fill: (block: number, count: number, position: number, low: number, high: number) => void;
  /** what `fill` has written, Int32Array over the module's one page of memory */
  readonly shortfalls: Int32Array;
}

/** What of the WebAssembly API is used: TypeScript's own declarations come with the DOM only. */
declare const WebAssembly: {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
  ) => { exports: { fill: NoiseKernel["fill"]; memory: { buffer: ArrayBuffer } } };
};

/** @returns null where there is no WebAssembly with vectors, or a page's security policy forbids it */
export function loadNoiseKernel(): NoiseKernel | null {
  try {
    const { fill, memory } = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports;
    return { fill, shortfalls: new Int32Array(memory.buffer) };
  } catch {
    return null;
  }
}

type Code = readonly number[];

const TYPE_I32 = 0x7f;
const TYPE_V128 = 0x7b;
const TYPE_NONE = 0x40;

function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

function signed(value: number): Code {
  const last = value >= -0x40 && value < 0x40;
  return last ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

const sized = (content: Code): Code => [...unsigned(content.length), ...content];
const section = (id: number, content: Code): Code => [id, ...sized(content)];
const name = (text: string): Code => sized([...text].map((letter) => letter.charCodeAt(0)));

// Instructions

const LOOP = 0x03;
const END = 0x0b;
const BRANCH_IF = 0x0d;
const ADD = 0x6a;
const SUBTRACT = 0x6b;
const get = (local: number): Code => [0x20, local];
const set = (local: number): Code => [0x21, local];
const tee = (local: number): Code => [0x22, local];
const integer = (value: number): Code => [0x41, ...signed(value | 0)];
const vector = (opcode: number): Code => [0xfd, ...unsigned(opcode)];
const SPLAT = vector(0x11);
const NOT = vector(0x4d);
const XOR = vector(0x51);
const SHIFT_RIGHT = vector(0xad);
const ADD_LANES = vector(0xae);
/** 64-bit products of the lower two lanes, and of the upper two */
const MULTIPLY_LOWER = vector(0xde);
const MULTIPLY_UPPER = vector(0xdf);
/** Four of the eight 32-bit lanes of two vectors. */
const shuffle = (...lanes: number[]): Code => [
  ...vector(0x0d),
  ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
];
const store = (offset: number): Code => [...vector(0x0b), 4, ...unsigned(offset)];
const lanes = (...values: number[]): Code => [
  ...vector(0x0c),
  ...values.flatMap((value) => [value, 0, 0, 0]),
];
const splat = (value: number): Code => [...integer(value), ...SPLAT];

// Locals: the five parameters first, then the address, then vectors with a lane for each of four blocks.

const [FIRST, COUNT, POSITION, KEY_LOW, KEY_HIGH, ADDRESS] = [0, 1, 2, 3, 4, 5] as const;
const [X0, X1, X2, X3, KEY_0, KEY_1, BLOCKS] = [6, 7, 8, 9, 10, 11, 12] as const;
const [MULTIPLIER_0, MULTIPLIER_1, WEYL_0, WEYL_1] = [13, 14, 15, 16] as const;
const [LOWER, UPPER, HIGH, LOW] = [17, 18, 19, 20] as const;
const VECTORS = 15;

const HIGH_HALVES = [...get(LOWER), ...get(UPPER), ...shuffle(1, 3, 5, 7)];
const LOW_HALVES = [...get(LOWER), ...get(UPPER), ...shuffle(0, 2, 4, 6)];

function product(factor: number, multiplier: number): Code {
  const factors = [...get(factor), ...get(multiplier)];
  return [...factors, ...MULTIPLY_LOWER, ...set(LOWER), ...factors, ...MULTIPLY_UPPER, ...set(UPPER)];
}

const ROUND: Code = [
  ...product(X0, MULTIPLIER_0),
  ...[...LOW_HALVES, ...set(LOW), ...HIGH_HALVES, ...set(HIGH)],
  ...product(X2, MULTIPLIER_1),
  ...[...HIGH_HALVES, ...get(X1), ...XOR, ...get(KEY_0), ...XOR, ...set(X0)],
  ...[...LOW_HALVES, ...set(X1)],
  ...[...get(HIGH), ...get(X3), ...XOR, ...get(KEY_1), ...XOR, ...set(X2)],
  ...[...get(LOW), ...set(X3)],
  ...[...get(KEY_0), ...get(WEYL_0), ...ADD_LANES, ...set(KEY_0)],
  ...[...get(KEY_1), ...get(WEYL_1), ...ADD_LANES, ...set(KEY_1)],
];

/** ~word >>> 5 of two words a block, in the order of the tokens. */
const shortfall = (word: number): Code => [...get(word), ...NOT, ...integer(5), ...SHIFT_RIGHT, ...set(word)];
const STORE: Code = [
  ...[...shortfall(X0), ...shortfall(X2)],
  ...[...get(ADDRESS), ...get(X0), ...get(X2), ...shuffle(0, 4, 1, 5), ...store(0)],
  ...[...get(ADDRESS), ...get(X0), ...get(X2), ...shuffle(2, 6, 3, 7), ...store(16)],
];

const FILL: Code = [
  ...[...splat(0xd2511f53), ...set(MULTIPLIER_0), ...splat(0xcd9e8d57), ...set(MULTIPLIER_1)],
  ...[...splat(0x9e3779b9), ...set(WEYL_0), ...splat(0xbb67ae85), ...set(WEYL_1)],
  ...[...get(FIRST), ...SPLAT, ...lanes(0, 1, 2, 3), ...ADD_LANES, ...set(BLOCKS)],
  ...[LOOP, TYPE_NONE],
  ...[...get(BLOCKS), ...set(X0), ...get(POSITION), ...SPLAT, ...set(X1)],
  ...[...splat(Purpose.gumbel), ...set(X2), ...splat(0), ...set(X3)],
  ...[...get(KEY_LOW), ...SPLAT, ...set(KEY_0), ...get(KEY_HIGH), ...SPLAT, ...set(KEY_1)],
  ...Array.from({ length: 10 }, () => ROUND).flat(),
  ...STORE,
  ...[...get(ADDRESS), ...integer(32), ADD, ...set(ADDRESS)],
  ...[...get(BLOCKS), ...splat(4), ...ADD_LANES, ...set(BLOCKS)],
  ...[...get(COUNT), ...integer(4), SUBTRACT, ...tee(COUNT), BRANCH_IF, 0],
  ...[END, END],
];

function assemble(): Uint8Array {
  const locals = [2, 1, TYPE_I32, VECTORS, TYPE_V128];
  const parameters = sized(Array.from({ length: 5 }, () => TYPE_I32));
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, ...parameters, 0]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("fill"), 0, 0]),
    ...section(10, [1, ...sized([...locals, ...FILL])]),
  ]);
}
