import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { LlamaApi, Pointer } from "./abi.ts";
import { allocate, type NativeMemory } from "./native-memory.ts";

/** Which cells of llama.cpp's KV cache the tokens of all sequences lie in. */
export interface KvCells {
  /**
   * Drops what a sequence holds at `from` and past it.
   * @returns false where the model's state cannot be rolled back
   */
  drop(sequence: number, from: number): boolean;
  /** The cells of what a sequence holds at `from` and past it stay taken, once it is dropped by other means. */
  park(sequence: number, from: number): void;
  /** how often what is in use has moved */
  readonly moves: number;
  /**
   * Called before each decode, and nothing else touches the cache until `done`.
   * @param tokens of all sequences that the decode will add
   * @param done an error with code `kv_lost`: no sequence holds anything any more
   */
  makeRoom(tokens: number, done: (error: EngineError | null) => void): void;
}

/** Dropped cells are free at once, and the next KV slot that needs some takes them. */
export class FreeCells implements KvCells {
  readonly moves = 0;
  private readonly api: LlamaApi;
  private readonly memory: Pointer;

  constructor(api: LlamaApi, memory: Pointer) {
    this.api = api;
    this.memory = memory;
  }

  drop(sequence: number, from: number): boolean {
    return this.api.seqRm(this.memory, sequence, from, -1);
  }

  park(): void {}

  makeRoom(_tokens: number, done: (error: EngineError | null) => void): void {
    done(null);
  }
}

export interface CellSpace {
  /** [0, sequences) hold tokens; the next one, `sequences`, holds what was dropped */
  readonly sequences: number;
  readonly cells: number;
}

/** Dropped cells beyond those in use, before what is in use moves together. */
const DROPPED_CELLS = 1024;

/** Cells beyond what all sequences can hold: the more of them, the less often a full cache has to be moved. */
export function spareCells(cells: number): number {
  return Math.max(DROPPED_CELLS, Math.ceil(cells / 8));
}

/**
 * Tokens lie in the order in which they came. llama.cpp fills the first free cells: where a rollback of one sequence
 * has freed some, another one's tokens would lie before its earlier ones. On a CPU attention is summed in
 * the order of cells, in half precision, and a sequence in another order has other logits, which may differ by a
 * tenth and more. So dropped cells stay taken, by a sequence of their own, and when they are too many, what is in use
 * is copied out and back into an empty cache.
 */
export class OrderedCells implements KvCells {
  moves = 0;
  private readonly api: LlamaApi;
  private readonly context: Pointer;
  private readonly memory: Pointer;
  private readonly space: CellSpace;
  /** all before this one are taken, and none after it */
  private next = 0;
  /** up to this many it is not looked how many are in use */
  private enough = DROPPED_CELLS;

  constructor(api: LlamaApi, context: Pointer, space: CellSpace) {
    this.api = api;
    this.context = context;
    this.memory = api.getMemory(context);
    this.space = space;
  }

  drop(sequence: number, from: number): boolean {
    this.park(sequence, from);
    return this.api.seqRm(this.memory, sequence, from, -1);
  }

  park(sequence: number, from: number): void {
    this.api.seqCp(this.memory, sequence, this.space.sequences, from, -1);
  }

  makeRoom(tokens: number, done: (error: EngineError | null) => void): void {
    const took = (error: EngineError | null) => {
      if (!error) this.next += tokens;
      done(error);
    };
    if (this.next + tokens <= this.enough) {
      took(null);
      return;
    }
    const inUse = this.inUse();
    this.enough = Math.min(this.space.cells, 2 * (inUse + tokens) + DROPPED_CELLS);
    if (this.next + tokens <= this.enough) took(null);
    else this.move((error) => took(error?.code === "no_memory" && this.putOff(tokens) ? null : error));
  }

  /** There is no memory to move now. @returns whether there are cells left to go on for a while */
  private putOff(tokens: number): boolean {
    this.enough = Math.min(this.space.cells, this.next + tokens + DROPPED_CELLS);
    return this.next + tokens <= this.space.cells;
  }

  private inUse(): number {
    let tokens = 0;
    for (let id = 0; id < this.space.sequences; id++) tokens += this.api.seqPosMax(this.memory, id) + 1;
    return tokens;
  }

  private move(done: (error: EngineError | null) => void): void {
    const copies: Copy[] = [];
    this.moves++;
    this.copyOut(0, copies, (error) => {
      for (const { memory } of copies) memory.free();
      done(error);
    });
  }

  private copyOut(from: number, copies: Copy[], done: (error: EngineError | null) => void): void {
    let id = from;
    while (id < this.space.sequences && this.api.seqPosMax(this.memory, id) < 0) id++;
    if (id === this.space.sequences) {
      this.api.memoryClear(this.memory, false);
      this.next = 0;
      this.copyBack(copies, done);
      return;
    }
    const memory = allocate(this.api.stateSize(this.context, id));
    if (!memory) {
      queueMicrotask(() => done(notMoved("no_memory", "there is no memory for it; ask for fewer KV slots")));
      return;
    }
    copies.push({ sequence: id, memory });
    const { address, bytes } = memory;
    this.api.stateGet.async(this.context, address, bytes, id, (error, written) => {
      if (error || written !== bytes) done(notMoved("no_memory", error));
      else this.copyOut(id + 1, copies, done);
    });
  }

  private copyBack([copy, ...others]: readonly Copy[], done: (error: EngineError | null) => void): void {
    if (!copy) {
      done(null);
      return;
    }
    const { sequence, memory } = copy;
    const { address, bytes } = memory;
    this.api.stateSet.async(this.context, address, bytes, sequence, (error, read) => {
      this.next += this.api.seqPosMax(this.memory, sequence) + 1;
      if (error || read !== bytes) done(notMoved("kv_lost", error));
      else this.copyBack(others, done);
    });
  }
}

/** What a sequence holds, outside the cache. */
interface Copy {
  readonly sequence: number;
  readonly memory: NativeMemory;
}

function notMoved(code: string, error: unknown): EngineError {
  return new EngineError(code, `the KV could not be moved${error ? `: ${messageOf(error)}` : ""}`);
}
