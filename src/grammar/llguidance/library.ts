import { assert } from "../../util/assert.ts";
import { PicoSpecError } from "../../util/errors.ts";

/**
 * llguidance in WebAssembly (`engines/llguidance`): one instance, its functions with JavaScript's values. Pointers are
 * numbers, and 0 is none. An instance in which a call has trapped is of no use any more: `broken` says so, and every
 * later call throws.
 */

/** Of `engines/llguidance/src/lib.rs`. */
interface Exports {
  readonly memory: Memory;
  alloc(bytes: number): number;
  dealloc(at: number, bytes: number): void;
  error(): number;
  error_length(): number;
  vocabulary(words: number, bytes: number, ends: number, endCount: number): number;
  limit(factory: number, ...limits: number[]): void;
  compile(factory: number, kind: number, source: number, bytes: number): number;
  fork(grammar: number): number;
  release(matcher: number): void;
  mask(matcher: number, out: number, words: number): number;
  consume(matcher: number, token: number): number;
  rollback(matcher: number, tokens: number): number;
  forced(matcher: number, out: number, most: number): number;
  sure(matcher: number, tokens: number, count: number): number;
  step_cost(matcher: number, what: number): number;
}

/** What of a WebAssembly.Memory is used. */
interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** A compiled module, as `WebAssembly.compile` gives it: opaque here. */
export type GrammarModule = object;

/** The part of the platform's WebAssembly that is used: the same in Node and in browsers. */
interface Platform {
  compile(bytes: Uint8Array): Promise<GrammarModule>;
  readonly Instance: new (module: GrammarModule, imports: object) => { readonly exports: object };
}

/** What one grammar may cost. llguidance counts fuel and items, so both sides of a session come to the same end. */
export interface GrammarLimits {
  /** Earley items at one byte: how many ways there are to read an answer */
  readonly itemsInRow: number;
  /** nodes of regular expressions that may be built to compile a grammar */
  readonly compileFuel: number;
  /** lexer fuel of one mask */
  readonly stepFuel: number;
  /** Earley items of one mask */
  readonly stepItems: number;
  /** states of one answer's lexer, of some 1-2 kB each */
  readonly lexerStates: number;
  /** symbols in productions */
  readonly grammarSize: number;
}

const PAGE_BYTES = 65_536;
/** Longest text that may be asked for as forced, in bytes. */
const MOST_FORCED_BYTES = 4096;

const KIND_NUMBERS = { json_schema: 0, lark: 1, regex: 2 } as const;

export type LibraryKind = keyof typeof KIND_NUMBERS;

/** A vocabulary as the library reads it. */
export interface Words {
  /** for each token a 16-bit number of bytes, little-endian, and those bytes */
  readonly bytes: Uint8Array;
  /** tokens that may come where an answer may end, Uint32Array[n] */
  readonly ends: Uint32Array;
}

/** The instance's memory once it knows a vocabulary: another instance begins with it. */
export type Snapshot = Uint8Array;

export class GrammarLibrary {
  private readonly exports: Exports;
  private readonly factory: number;
  /** for a mask */
  private readonly maskAt: number;
  private readonly maskWords: number;
  /** for forced bytes */
  private readonly forcedAt: number;
  private trapped = false;

  private constructor(exports: Exports, vocabularySize: number, factory: number, at: readonly number[]) {
    this.exports = exports;
    this.factory = factory;
    this.maskWords = Math.ceil(vocabularySize / 32);
    [this.maskAt, this.forcedAt] = at as [number, number];
  }

  /**
   * Reads a vocabulary: 230 ms for 49,000 tokens.
   * @throws PicoSpecError `no_grammars`
   */
  static create(
    module: GrammarModule,
    { bytes, ends }: Words,
    vocabularySize: number,
    limits: GrammarLimits,
  ): { library: GrammarLibrary; snapshot: () => Snapshot; revive: (snapshot: Snapshot) => GrammarLibrary } {
    const exports = instantiate(module);
    const factory = withBytes(exports, bytes, (words) =>
      withBytes(exports, new Uint8Array(ends.buffer), (at) =>
        exports.vocabulary(words, bytes.length, at, ends.length),
      ),
    );
    if (factory === 0) throw new PicoSpecError("no_grammars", `llguidance: ${errorOf(exports)}`);
    const { itemsInRow, compileFuel, stepFuel, stepItems, lexerStates, grammarSize } = limits;
    exports.limit(factory, itemsInRow, compileFuel, stepFuel, stepItems, lexerStates, grammarSize);
    const at = [exports.alloc(Math.ceil(vocabularySize / 32) * 4), exports.alloc(MOST_FORCED_BYTES)];
    return {
      library: new GrammarLibrary(exports, vocabularySize, factory, at),
      snapshot: () => new Uint8Array(exports.memory.buffer.slice(0)),
      revive: (snapshot) => {
        const again = instantiate(module);
        const missing = snapshot.length - again.memory.buffer.byteLength;
        if (missing > 0) again.memory.grow(missing / PAGE_BYTES);
        new Uint8Array(again.memory.buffer).set(snapshot);
        return new GrammarLibrary(again, vocabularySize, factory, at);
      },
    };
  }

  /** A call has trapped. */
  get broken(): boolean {
    return this.trapped;
  }

  /** Bytes of memory that the instance has. */
  get bytes(): number {
    return this.exports.memory.buffer.byteLength;
  }

  /**
   * A grammar at its beginning, to be released.
   * @throws PicoSpecError `bad_grammar`: llguidance's reason, in one line
   */
  compile(kind: LibraryKind, source: string): number {
    const { exports, factory } = this;
    const bytes = new TextEncoder().encode(source);
    const grammar = this.call(() =>
      withBytes(exports, bytes, (at) => exports.compile(factory, KIND_NUMBERS[kind], at, bytes.length)),
    );
    if (grammar === 0) throw new PicoSpecError("bad_grammar", errorOf(exports));
    return grammar;
  }

  /** Another answer under the same grammar, at its beginning, to be released. */
  fork(grammar: number): number {
    return this.call(() => this.exports.fork(grammar));
  }

  release(matcher: number): void {
    this.call(() => this.exports.release(matcher));
  }

  /** As `release`, at the end of a session: an instance that breaks by it is found out by whoever asks next. */
  releaseQuietly(matcher: number): void {
    if (this.trapped) return;
    try {
      this.exports.release(matcher);
    } catch {
      this.trapped = true;
    }
  }

  /**
   * @returns what may come next, Int32Array[ceil(V / 32)], or null: nothing
   * @throws PicoSpecError `grammar_limit`
   */
  mask(matcher: number): Int32Array | null {
    const { exports, maskAt, maskWords } = this;
    const result = this.call(() => exports.mask(matcher, maskAt, maskWords));
    this.check(result);
    return result === 0 ? null : new Int32Array(exports.memory.buffer, maskAt, maskWords).slice();
  }

  /** @returns whether the grammar allows the token. @throws PicoSpecError `grammar_limit` */
  consume(matcher: number, token: number): boolean {
    const result = this.call(() => this.exports.consume(matcher, token));
    this.check(result);
    return result === 1;
  }

  /** @throws PicoSpecError `grammar_limit` */
  rollback(matcher: number, tokens: number): void {
    this.check(this.call(() => this.exports.rollback(matcher, tokens)));
  }

  /** The bytes that have to come next, Uint8Array[n]. */
  forced(matcher: number): Uint8Array {
    const { exports, forcedAt } = this;
    const count = this.call(() => exports.forced(matcher, forcedAt, MOST_FORCED_BYTES));
    return new Uint8Array(exports.memory.buffer, forcedAt, Math.min(count, MOST_FORCED_BYTES)).slice();
  }

  /** How many of the tokens that spell the forced bytes are sure to be spelt so, whatever follows. */
  sure(matcher: number, tokens: Uint32Array): number {
    const { exports } = this;
    const bytes = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
    return this.call(() => withBytes(exports, bytes, (at) => exports.sure(matcher, at, tokens.length)));
  }

  /** What the last mask took. */
  stepCost(matcher: number): { readonly fuel: number; readonly items: number } {
    const cost = (what: number) => this.call(() => this.exports.step_cost(matcher, what)) >>> 0;
    return { fuel: cost(0), items: cost(1) };
  }

  private call<T>(act: () => T): T {
    if (this.trapped) throw new PicoSpecError("grammar_limit", "the grammar library is broken");
    try {
      return act();
    } catch (error) {
      // A panic, no memory, or no stack: nothing in the instance can be trusted any more.
      this.trapped = true;
      const message = "the grammar needs more memory or a deeper stack than there is; make it smaller";
      throw new PicoSpecError("grammar_limit", message, { cause: error });
    }
  }

  private check(result: number): void {
    if (result < 0) throw new PicoSpecError("grammar_limit", errorOf(this.exports));
  }
}

/**
 * Compiles `engines/llguidance/llguidance.wasm`.
 * @throws CompileError for another file
 * @example
 * import { grammarModule } from "picospec";
 *
 * const response = await fetch("/llguidance.wasm");
 * const module = await grammarModule(new Uint8Array(await response.arrayBuffer()));
 */
export function grammarModule(bytes: Uint8Array): Promise<GrammarModule> {
  return platform().compile(bytes);
}

function platform(): Platform {
  const found = (globalThis as unknown as { WebAssembly?: Platform }).WebAssembly;
  assert(found, "this platform has no WebAssembly");
  return found;
}

function instantiate(module: GrammarModule): Exports {
  // The library measures itself, for nobody: a clock that stands still does.
  const { exports } = new (platform().Instance)(module, { env: { now: () => 0 } });
  return exports as Exports;
}

function withBytes<T>(exports: Exports, bytes: Uint8Array, act: (at: number) => T): T {
  const at = exports.alloc(bytes.length);
  if (at === 0) throw new RangeError("no memory");
  new Uint8Array(exports.memory.buffer).set(bytes, at);
  const result = act(at);
  exports.dealloc(at, bytes.length);
  return result;
}

/** Why the last call failed, in one line. */
function errorOf(exports: Exports): string {
  const bytes = new Uint8Array(exports.memory.buffer, exports.error(), exports.error_length());
  const text = new TextDecoder().decode(bytes.slice());
  return text
    .replace(/<non-verbose\/>/g, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 500);
}
