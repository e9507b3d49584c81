import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import { type LlamaApi, PARTIAL_ONLY, type Pointer } from "./abi.ts";
import { allocate, type NativeMemory } from "./native-memory.ts";

/** A recurrent state as it was when its sequence held so many tokens. */
interface Checkpoint {
  readonly sequence: number;
  readonly length: number;
  readonly memory: NativeMemory;
}

/** Most of a context: where a state is large, fewer are kept, and more has to be computed again. */
const MOST_BYTES = 2 ** 31;
/** Of a sequence that is alone; a drafter goes back from as far as its drafts are in flight. */
const MOST_OF_ONE = 8;
const LEAST_OF_EACH = 2;

/**
 * Recurrent states at earlier lengths, outside of the context: a state cannot be cut back, so it is put back. The oldest
 * goes where there are too many; without any a sequence is computed from its beginning.
 */
export class Checkpoints {
  private readonly api: LlamaApi;
  private readonly context: Pointer;
  private readonly mostOfEach: number;
  private readonly mostBytes: number;
  /** the newest last */
  private kept: Checkpoint[] = [];
  /** freed by a checkpoint that went, and as large as the next */
  private spare: NativeMemory[] = [];

  constructor(api: LlamaApi, context: Pointer, sequences: number, mostBytes = MOST_BYTES) {
    this.api = api;
    this.context = context;
    this.mostBytes = mostBytes;
    this.mostOfEach = Math.max(LEAST_OF_EACH, Math.floor(MOST_OF_ONE / sequences));
  }

  /** Length at the newest one of a sequence that is no longer than `most`. -1: there is none */
  latest(sequence: number, most: number): number {
    return this.of(sequence).reduce(
      (best, { length }) => (length <= most ? Math.max(best, length) : best),
      -1,
    );
  }

  /** Keeps the state of a sequence, which holds `length` tokens; where there is no memory it does without. */
  async save(sequence: number, length: number): Promise<void> {
    const bytes = this.api.partSize(this.context, sequence, PARTIAL_ONLY);
    this.makeRoom(sequence, bytes);
    const memory = this.take(bytes);
    if (!memory) return;
    let written = 0;
    try {
      written = await this.call(this.api.partGet, memory, sequence);
    } finally {
      if (written === bytes) this.kept.push({ sequence, length, memory });
      else this.spare.push(memory);
    }
  }

  /** Puts a state back that `latest` named. */
  async restore(sequence: number, length: number): Promise<void> {
    const found = this.of(sequence).find((one) => one.length === length);
    const read = found ? await this.call(this.api.partSet, found.memory, sequence) : 0;
    if (!found || read !== found.memory.bytes) {
      throw new EngineError("decode_failed", "the state of a sequence could not be put back");
    }
  }

  /** Those past `length` are of another text now. */
  forget(sequence: number, length: number): void {
    this.drop(this.of(sequence).filter((one) => one.length > length));
  }

  close(): void {
    this.drop(this.kept);
    for (const memory of this.spare.splice(0)) memory.free();
  }

  private of(sequence: number): Checkpoint[] {
    return this.kept.filter((one) => one.sequence === sequence);
  }

  private makeRoom(sequence: number, bytes: number): void {
    const own = this.of(sequence);
    if (own.length >= this.mostOfEach) this.drop(own.slice(0, 1));
    const inAll = () => this.kept.reduce((sum, { memory }) => sum + memory.bytes, bytes);
    while (this.kept.length > 0 && inAll() > this.mostBytes) this.drop(this.kept.slice(0, 1));
  }

  private drop(some: readonly Checkpoint[]): void {
    this.kept = this.kept.filter((one) => !some.includes(one));
    for (const { memory } of some) this.spare.push(memory);
  }

  private take(bytes: number): NativeMemory | null {
    const fitting = this.spare.findIndex((memory) => memory.bytes === bytes);
    if (fitting >= 0) return this.spare.splice(fitting, 1)[0]!;
    for (const memory of this.spare.splice(0)) memory.free();
    return bytes > this.mostBytes ? null : allocate(bytes);
  }

  private call(
    act: LlamaApi["partGet"],
    { address, bytes }: NativeMemory,
    sequence: number,
  ): Promise<number> {
    return new Promise((resolve, reject) => {
      act.async(this.context, address, bytes, sequence, PARTIAL_ONLY, (error, moved) => {
        if (error) reject(new EngineError("decode_failed", messageOf(error)));
        else resolve(moved);
      });
    });
  }
}
