import {
  ADD,
  BRANCH_IF,
  type Code,
  double,
  END,
  get,
  instantiate,
  integer,
  type KernelFunction,
  type KernelMemory,
  LOOP,
  load,
  SUBTRACT,
  set,
  store,
  TYPE_F32,
  TYPE_F64,
  TYPE_I32,
  TYPE_NONE,
  TYPE_V128,
  tee,
  unsigned,
  vector,
} from "./assembler.ts";
import { LN_2, LOG2_E, TAYLOR, UNDERFLOW } from "./softmax.ts";

/** What is asked about all of a row of V logits, Float32Array[V]. */
export interface RowKernel {
  /** Where the mass lies, by distance from the largest. */
  masses(row: Float32Array): Masses;
  /** Ids of the elements that are not below `least`, Int32Array[k], by falling element, equals by rising id. */
  ordered(row: Float32Array, least: number): Int32Array;
}

export interface Masses {
  /** the largest logit; -Infinity when no element is above that */
  readonly maximum: number;
  /** sum of exp(logit - maximum), that of `softmaxTotal` to the bit */
  readonly total: number;
  /** the same sum by bucket, Float64Array[LAST_BUCKET + 1]; valid until the next call */
  readonly buckets: Float64Array;
}

/** Tokens in one bucket differ in probability by 6% at most. */
export const BUCKETS_PER_NAT = 16;
/** What is as far down as this is impossible: `expNonPositive` of it is 0. */
export const LAST_BUCKET = 104 * BUCKETS_PER_NAT;

/** Of a key, in one round of the radix sort. */
const DIGIT_BITS = 11;
const DIGITS = 2 ** DIGIT_BITS;
const ROUNDS = 3;

/**
 * As a WebAssembly module with 128-bit vectors, which takes a third of the time of plain JavaScript.
 * @returns null where there is no WebAssembly with vectors, or a page's security policy forbids it
 */
export function loadRowKernel(): RowKernel | null {
  const module = instantiate<Module>([MAXIMUM, TOTAL, GATHER, COUNT, MOVE], 1);
  return module && new ModuleKernel(module);
}

interface Module {
  maximum(vectors: number): void;
  total(pairs: number, maximum: number): void;
  gather(elements: number, items: number, least: number): number;
  count(items: number, size: number): void;
  move(from: number, size: number, to: number, shift: number, counts: number): void;
  readonly memory: KernelMemory;
}

// The memory, in bytes: buckets, the result of a function in one vector, a count for each digit of each round, the row,
// and twice its number of items of 64 bits, before and after a round.

const PAGE = 2 ** 16;
const RESULT_AT = 2 ** 14 - 16;
const COUNTS_AT = 2 ** 14;
const ROW_AT = PAGE;

class ModuleKernel implements RowKernel {
  private readonly module: Module;

  constructor(module: Module) {
    this.module = module;
  }

  masses(row: Float32Array): Masses {
    const vectors = this.put(row);
    this.module.maximum(vectors);
    const { buffer } = this.module.memory;
    const maximum = Math.max(...new Float32Array(buffer, RESULT_AT, 4));
    const buckets = new Float64Array(buffer, 0, LAST_BUCKET + 1).fill(0);
    this.module.total(2 * vectors, maximum);
    const [even, odd] = new Float64Array(buffer, RESULT_AT, 2);
    return { maximum, total: even! + odd!, buckets };
  }

  ordered(row: Float32Array, least: number): Int32Array {
    let from = ROW_AT + 16 * this.put(row);
    let to = from + 8 * row.length;
    const size = this.module.gather(row.length, from, least);
    const { buffer } = this.module.memory;
    if (size <= FEW) {
      sortFew(new Int32Array(buffer, from, 2 * size));
    } else {
      const counts = new Int32Array(buffer, COUNTS_AT, ROUNDS * DIGITS).fill(0);
      this.module.count(from, size);
      for (let round = 0; round < ROUNDS; round++) {
        if (!toStarts(counts.subarray(round * DIGITS, (round + 1) * DIGITS), size)) continue;
        this.module.move(from, size, to, round * DIGIT_BITS, COUNTS_AT + 4 * DIGITS * round);
        [from, to] = [to, from];
      }
    }
    const items = new Int32Array(buffer, from, 2 * size);
    const ids = new Int32Array(size);
    for (let i = 0; i < size; i++) ids[i] = items[2 * i]!;
    return ids;
  }

  /** @returns how many vectors of four elements the row takes */
  private put(row: Float32Array): number {
    const vectors = (row.length + 3) >> 2;
    const missingBytes = ROW_AT + 16 * vectors + 16 * row.length - this.module.memory.buffer.byteLength;
    if (missingBytes > 0) this.module.memory.grow(Math.ceil(missingBytes / PAGE));
    const copy = new Float32Array(this.module.memory.buffer, ROW_AT, 4 * vectors);
    copy.set(row);
    // Whole vectors, with what weighs nothing.
    copy.fill(Number.NEGATIVE_INFINITY, row.length);
    return vectors;
  }
}

/** So few items are in order before the counts of a radix sort are made. */
const FEW = 64;

/** Inserts each item among those before it. @param items id and key of each; the keys are unsigned */
function sortFew(items: Int32Array): void {
  for (let i = 2; i < items.length; i += 2) {
    const [id, key] = [items[i]!, items[i + 1]! >>> 0];
    let at = i;
    for (; at > 0 && items[at - 1]! >>> 0 > key; at -= 2) {
      items[at] = items[at - 2]!;
      items[at + 1] = items[at - 1]!;
    }
    items[at] = id;
    items[at + 1] = key;
  }
}

/** Of counts of digits, where each digit's items begin. @returns false when all have the same one, and none has to move */
function toStarts(counts: Int32Array, size: number): boolean {
  let start = 0;
  for (let digit = 0; digit < counts.length; digit++) {
    const count = counts[digit]!;
    if (count === size) return false;
    counts[digit] = start;
    start += count;
  }
  return true;
}

// Instructions on scalars.

const float = (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)];
const LOAD_INTEGER: Code = [0x28, 2, 0];
const loadInteger = (offset: number): Code => [0x28, 2, ...unsigned(offset)];
const LOAD_LONG: Code = [0x29, 3, 0];
const loadFloat = (offset: number): Code => [0x2a, 2, ...unsigned(offset)];
const LOAD_DOUBLE: Code = [0x2b, 3, 0];
const storeInteger = (offset: number): Code => [0x36, 2, ...unsigned(offset)];
const STORE_LONG: Code = [0x37, 3, 0];
const STORE_DOUBLE: Code = [0x39, 3, 0];
const IS_ZERO = 0x45;
const IS_BELOW = 0x63;
const BITS_AND = 0x71;
const BITS_XOR = 0x73;
const SHIFT_LEFT = 0x74;
const SHIFT_RIGHT_SIGNED = 0x75;
const SHIFT_RIGHT = 0x76;
const ADD_FLOAT = 0x92;
const ADD_DOUBLE = 0xa0;
const TO_DOUBLE = 0xbb;
const TO_BITS = 0xbc;

// Instructions on vectors: of four 32-bit floats, or two 64-bit floats, or integers.

const loadPair = (offset: number): Code => [...vector(0x5d), 3, ...unsigned(offset)];
const longs = (value: number): Code => [
  ...vector(0x0c),
  ...new Uint8Array(BigInt64Array.of(BigInt(value), BigInt(value)).buffer),
];
const SPLAT_FLOAT = vector(0x13);
const SPLAT = vector(0x14);
const LARGER_FLOATS = vector(0xeb);
const TO_DOUBLES = vector(0x5f);
const NOT_BELOW = vector(0x4c);
const AND = vector(0x4e);
const PLUS = vector(0xf0);
const MINUS = vector(0xf1);
const TIMES = vector(0xf2);
const SMALLER = vector(0xf6);
const TO_INTEGERS = vector(0xfc);
const FROM_INTEGERS = vector(0xfe);
const TO_LONGS = vector(0xc7);
const SHIFT_LEFT_LONGS = vector(0xcb);
const MINUS_LONGS = vector(0xd1);
const splat = (value: number): Code => [...double(value), ...SPLAT];
const integerLane = (lane: number): Code => [...vector(0x1b), lane];
const doubleLane = (lane: number): Code => [...vector(0x21), lane];

/** `count` steps, at least one, with an address that goes on by so many bytes. */
const repeated = (count: number, address: number, bytes: number, body: Code): Code => [
  ...[LOOP, TYPE_NONE],
  ...body,
  ...[...get(address), ...integer(bytes), ADD, ...set(address)],
  ...[...get(count), ...integer(1), SUBTRACT, ...tee(count), BRANCH_IF, 0],
  END,
];

/** `maximum`: the larger of the same lane of all vectors. What is no number is passed over: no comparison holds with it. */
const MAXIMUM: KernelFunction = {
  name: "maximum",
  parameters: [TYPE_I32],
  results: [],
  locals: [
    [1, TYPE_I32],
    [1, TYPE_V128],
  ],
  code: [
    ...[...float(Number.NEGATIVE_INFINITY), ...SPLAT_FLOAT, ...set(2)],
    ...repeated(0, 1, 16, [...get(2), ...get(1), ...load(ROW_AT), ...LARGER_FLOATS, ...set(2)]),
    ...[...integer(0), ...get(2), ...store(RESULT_AT)],
  ],
};

const TOTAL: KernelFunction = (() => {
  const [PAIRS, LARGEST, ADDRESS, BUCKET] = [0, 1, 2, 3] as const;
  const [SUMS, X, HALVINGS, REST, WEIGHTS, BUCKETS, LARGESTS] = [4, 5, 6, 7, 8, 9, 10] as const;
  /** `expNonPositive` of both lanes of X, step by step; 2^-k is made of the bits of its exponent. */
  const exponential: Code = [
    ...[...splat(0.5), ...get(X), ...splat(LOG2_E), ...TIMES, ...MINUS, ...TO_INTEGERS, ...set(HALVINGS)],
    ...[...get(X), ...get(HALVINGS), ...FROM_INTEGERS, ...splat(LN_2), ...TIMES, ...PLUS, ...set(REST)],
    ...splat(TAYLOR[0]),
    ...TAYLOR.slice(1).flatMap((term) => [...get(REST), ...TIMES, ...splat(term), ...PLUS]),
    ...[...longs(1023), ...get(HALVINGS), ...TO_LONGS, ...MINUS_LONGS, ...integer(52), ...SHIFT_LEFT_LONGS],
    ...[...TIMES, ...get(X), ...splat(UNDERFLOW), ...NOT_BELOW, ...AND, ...set(WEIGHTS)],
  ];
  const addToBucket = (lane: number): Code => [
    ...[...get(BUCKETS), ...integerLane(lane), ...integer(3), SHIFT_LEFT, ...tee(BUCKET)],
    ...[...get(BUCKET), ...LOAD_DOUBLE, ...get(WEIGHTS), ...doubleLane(lane), ADD_DOUBLE, ...STORE_DOUBLE],
  ];
  return {
    name: "total",
    parameters: [TYPE_I32, TYPE_F64],
    results: [],
    locals: [
      [2, TYPE_I32],
      [7, TYPE_V128],
    ],
    code: [
      ...[...get(LARGEST), ...SPLAT, ...set(LARGESTS)],
      ...repeated(PAIRS, ADDRESS, 8, [
        ...[...get(ADDRESS), ...loadPair(ROW_AT), ...TO_DOUBLES, ...get(LARGESTS), ...MINUS, ...set(X)],
        ...exponential,
        ...[...get(SUMS), ...get(WEIGHTS), ...PLUS, ...set(SUMS)],
        // Of what is no number the last bucket is the smaller.
        ...[...splat(LAST_BUCKET), ...get(X), ...splat(-BUCKETS_PER_NAT), ...TIMES, ...SMALLER],
        ...[...TO_INTEGERS, ...set(BUCKETS), ...addToBucket(0), ...addToBucket(1)],
      ]),
      ...[...integer(0), ...get(SUMS), ...store(RESULT_AT)],
    ],
  };
})();

/**
 * An item of each element that is not below `least`: its id, and a key that falls where elements rise. Without a branch, which
 * would often be guessed wrong: an item that is not kept is overwritten by the next.
 */
const GATHER: KernelFunction = (() => {
  const [ELEMENTS, ITEMS, LEAST, ADDRESS, ID, FIRST, BITS, ELEMENT] = [0, 1, 2, 3, 4, 5, 6, 7] as const;
  return {
    name: "gather",
    parameters: [TYPE_I32, TYPE_I32, TYPE_F64],
    results: [TYPE_I32],
    locals: [
      [4, TYPE_I32],
      [1, TYPE_F32],
    ],
    code: [
      ...[...get(ITEMS), ...set(FIRST)],
      ...repeated(ELEMENTS, ADDRESS, 4, [
        // -0 becomes 0.
        ...[
          ...get(ADDRESS),
          ...loadFloat(ROW_AT),
          ...float(0),
          ADD_FLOAT,
          ...tee(ELEMENT),
          TO_BITS,
          ...set(BITS),
        ],
        ...[...get(ITEMS), ...get(ID), ...storeInteger(0), ...get(ITEMS)],
        // Of an element that is not negative all bits but the sign's are turned around.
        ...[...get(BITS), ...get(BITS), ...integer(31), SHIFT_RIGHT_SIGNED, ...integer(-1), BITS_XOR],
        ...[...integer(1), SHIFT_RIGHT, BITS_XOR, ...storeInteger(4)],
        ...[...get(ELEMENT), TO_DOUBLE, ...get(LEAST), IS_BELOW, IS_ZERO, ...integer(3), SHIFT_LEFT],
        ...[...get(ITEMS), ADD, ...set(ITEMS), ...get(ID), ...integer(1), ADD, ...set(ID)],
      ]),
      ...[...get(ITEMS), ...get(FIRST), SUBTRACT, ...integer(3), SHIFT_RIGHT],
    ],
  };
})();

const digit = (shift: Code): Code => [
  ...[...shift, SHIFT_RIGHT, ...integer(DIGITS - 1), BITS_AND, ...integer(2), SHIFT_LEFT],
];

/** How often each digit of each round is there. */
const COUNT: KernelFunction = (() => {
  const [ITEMS, SIZE, KEY, AT] = [0, 1, 2, 3] as const;
  const one = (round: number): Code => [
    ...[...get(KEY), ...digit(integer(round * DIGIT_BITS)), ...integer(COUNTS_AT + 4 * DIGITS * round), ADD],
    ...[...tee(AT), ...get(AT), ...LOAD_INTEGER, ...integer(1), ADD, ...storeInteger(0)],
  ];
  return {
    name: "count",
    parameters: [TYPE_I32, TYPE_I32],
    results: [],
    locals: [[2, TYPE_I32]],
    code: repeated(SIZE, ITEMS, 8, [
      ...[...get(ITEMS), ...loadInteger(4), ...set(KEY)],
      ...[...one(0), ...one(1), ...one(2)],
    ]),
  };
})();

/** One round, from the items' order before it to that after it; items with the same digit stay in order. */
const MOVE: KernelFunction = (() => {
  const [FROM, SIZE, TO, SHIFT, COUNTS, AT, PLACE] = [0, 1, 2, 3, 4, 5, 6] as const;
  return {
    name: "move",
    parameters: Array.from({ length: 5 }, () => TYPE_I32),
    results: [],
    locals: [[2, TYPE_I32]],
    code: repeated(SIZE, FROM, 8, [
      ...[...get(FROM), ...loadInteger(4), ...digit(get(SHIFT)), ...get(COUNTS), ADD, ...tee(AT)],
      ...[...get(AT), ...LOAD_INTEGER, ...tee(PLACE), ...integer(1), ADD, ...storeInteger(0)],
      ...[
        ...get(PLACE),
        ...integer(3),
        SHIFT_LEFT,
        ...get(TO),
        ADD,
        ...get(FROM),
        ...LOAD_LONG,
        ...STORE_LONG,
      ],
    ]),
  };
})();
