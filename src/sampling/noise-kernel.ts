import {
  ADD,
  BRANCH_IF,
  type Code,
  END,
  get,
  instantiate,
  integer,
  type KernelFunction,
  LOOP,
  load,
  SUBTRACT,
  set,
  store,
  TYPE_I32,
  TYPE_NONE,
  TYPE_V128,
  tee,
  vector,
} from "./assembler.ts";
import { Purpose } from "./random.ts";

/**
 * Philox4x32-10 (see random.ts) for four blocks at a time, as a WebAssembly module with 128-bit vectors:
 * JavaScript has no 64-bit product, and takes twelve times as long.
 */

/** Writes the shortfalls of tokens: see `shortfalls`. Counts are multiples of 4. */
export interface NoiseKernel {
  /** of 2 * count tokens, from token 2 * block on */
  readonly fill: (block: number, count: number, position: number, low: number, high: number) => void;
  /** of the first `count` tokens of `ids` */
  readonly fillOf: (count: number, position: number, low: number, high: number) => void;
  /** what was written last, Int32Array[NOISE_CHUNK at least] */
  readonly shortfalls: Int32Array;
  /** to be filled in, Int32Array[NOISE_CHUNK at least] */
  readonly ids: Int32Array;
}

/** @returns null where there is no WebAssembly with vectors, or a page's security policy forbids it */
export function loadNoiseKernel(): NoiseKernel | null {
  const module = instantiate<Module>([FILL, FILL_OF], 1);
  if (!module) return null;
  const { fill, fillOf, memory } = module;
  return {
    fill,
    fillOf: (count, position, low, high) => fillOf(0, count, position, low, high),
    shortfalls: new Int32Array(memory.buffer, 0, IDS_AT / 4),
    ids: new Int32Array(memory.buffer, IDS_AT),
  };
}

interface Module {
  readonly fill: NoiseKernel["fill"];
  /** with the same parameters, so that both share their code; the first is not used */
  readonly fillOf: NoiseKernel["fill"];
}

/** The upper half of the module's one page of memory. */
const IDS_AT = 2 ** 15;

const SPLAT = vector(0x11);
const NOT = vector(0x4d);
const XOR = vector(0x51);
/** bits of the first vector where the third has ones, of the second elsewhere */
const CHOOSE = vector(0x52);
const SHIFT_LEFT = vector(0xab);
const SHIFT_RIGHT_SIGNED = vector(0xac);
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
const lanes = (...values: number[]): Code => [
  ...vector(0x0c),
  ...values.flatMap((value) => [value, 0, 0, 0]),
];
const splat = (value: number): Code => [...integer(value), ...SPLAT];

// Locals: the five parameters first, then the address, then vectors with a lane for each of four blocks.

const [FIRST, COUNT, POSITION, KEY_LOW, KEY_HIGH, ADDRESS] = [0, 1, 2, 3, 4, 5] as const;
const [X0, X1, X2, X3, KEY_0, KEY_1, BLOCKS] = [6, 7, 8, 9, 10, 11, 12] as const;
const [MULTIPLIER_0, MULTIPLIER_1, WEYL_0, WEYL_1] = [13, 14, 15, 16] as const;
const [LOWER, UPPER, HIGH, LOW, CHOICE] = [17, 18, 19, 20, 21] as const;
const VECTORS = 16;

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

const STORE_CHOSEN: Code = [
  ...[...shortfall(X0), ...shortfall(X2)],
  ...[...get(ADDRESS), ...get(X2), ...get(X0), ...get(CHOICE), ...CHOOSE, ...store(0)],
];

const CONSTANTS: Code = [
  ...[...splat(0xd2511f53), ...set(MULTIPLIER_0), ...splat(0xcd9e8d57), ...set(MULTIPLIER_1)],
  ...[...splat(0x9e3779b9), ...set(WEYL_0), ...splat(0xbb67ae85), ...set(WEYL_1)],
];

/** The four words of each of four blocks. */
const WORDS: Code = [
  ...[...get(BLOCKS), ...set(X0), ...get(POSITION), ...SPLAT, ...set(X1)],
  ...[...splat(Purpose.gumbel), ...set(X2), ...splat(0), ...set(X3)],
  ...[...get(KEY_LOW), ...SPLAT, ...set(KEY_0), ...get(KEY_HIGH), ...SPLAT, ...set(KEY_1)],
  ...Array.from({ length: 10 }, () => ROUND).flat(),
];

const advance = (bytes: number): Code => [...get(ADDRESS), ...integer(bytes), ADD, ...set(ADDRESS)];
const UNTIL_DONE: Code = [...get(COUNT), ...integer(4), SUBTRACT, ...tee(COUNT), BRANCH_IF, 0, END];

const SHAPE = {
  parameters: Array.from({ length: 5 }, () => TYPE_I32),
  results: [],
  locals: [
    [1, TYPE_I32],
    [VECTORS, TYPE_V128],
  ],
} as const;

const FILL: KernelFunction = {
  name: "fill",
  ...SHAPE,
  code: [
    ...CONSTANTS,
    ...[...get(FIRST), ...SPLAT, ...lanes(0, 1, 2, 3), ...ADD_LANES, ...set(BLOCKS)],
    ...[LOOP, TYPE_NONE],
    ...[...WORDS, ...STORE, ...advance(32)],
    ...[...get(BLOCKS), ...splat(4), ...ADD_LANES, ...set(BLOCKS)],
    ...UNTIL_DONE,
  ],
};

const FILL_OF: KernelFunction = {
  name: "fillOf",
  ...SHAPE,
  code: [
    ...CONSTANTS,
    ...[LOOP, TYPE_NONE],
    ...[...get(ADDRESS), ...load(IDS_AT), ...set(BLOCKS)],
    // All bits where the id is odd: its half of the block is the second.
    ...[...get(BLOCKS), ...integer(31), ...SHIFT_LEFT, ...integer(31), ...SHIFT_RIGHT_SIGNED, ...set(CHOICE)],
    ...[...get(BLOCKS), ...integer(1), ...SHIFT_RIGHT, ...set(BLOCKS)],
    ...[...WORDS, ...STORE_CHOSEN, ...advance(16)],
    ...UNTIL_DONE,
  ],
};
