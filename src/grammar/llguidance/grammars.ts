import type { Grammar } from "../../decoding/grammar.ts";
import { SESSION_LIMITS } from "../../decoding/session.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { messageOf, PicoSpecError, SettingError } from "../../util/errors.ts";
import type { GrammarMatcher, Grammars } from "../grammar.ts";
import { markersOf } from "../markers.ts";
import { type ControlTokens, controlTokens } from "./controls.ts";
import {
  GrammarLibrary,
  type GrammarLimits,
  type GrammarModule,
  type Snapshot,
  type Words,
} from "./library.ts";
import { LlguidanceMatcher, type MatcherPlace } from "./matcher.ts";
import { type LibraryGrammar, libraryGrammar } from "./source.ts";

/**
 * So that no compile and no mask takes longer than 50 ms: `npm run bench:grammars` measures what each of them allows.
 * Ordinary schemas take a tenth of each or less.
 */
export const GRAMMAR_LIMITS: GrammarLimits = {
  itemsInRow: 500,
  compileFuel: 100_000,
  stepFuel: 30_000,
  stepItems: 5000,
  lexerStates: 10_000,
  grammarSize: 4000,
};

/** Read before the first request: a platform compiles WebAssembly when it first runs, and that takes 70 ms. */
const WARM_UP =
  '{"type":"object","properties":{"a":{"type":"string","maxLength":3},"b":{"type":"integer","minimum":3}}}';

/** Compiled grammars that are kept: those of one application are few. */
const MOST_COMPILED = 32;
/** Grammars that broke the library and are remembered. */
const MOST_BROKEN = 64;
/** A grammar that broke it so often is not compiled again; once may have been for want of memory that others took. */
const MOST_BREAKS = 2;
/** An instance that has grown past this is made anew when no answer needs it, in bytes. */
const MOST_IDLE_BYTES = 128 * 1024 * 1024;

export interface LlguidanceOptions {
  /** `engines/llguidance/llguidance.wasm`, compiled */
  readonly module: GrammarModule;
  readonly tokenizer: Tokenizer;
  /** may come where an answer may end */
  readonly endTokens: readonly number[];
  readonly limits?: GrammarLimits;
  /** text that a grammar dictates is used without asking a model; default: true; false for comparison */
  readonly dictates?: boolean;
}

/** A grammar that is at its beginning in the library that there is now. */
interface Compiled {
  readonly handle: number;
}

/**
 * Grammars over one tokenizer's vocabulary, by llguidance (https://github.com/guidance-ai/llguidance). Where a grammar
 * breaks the library, its session ends, and one that does so again is refused; other answers go on in a fresh instance
 * and notice nothing.
 */
export class LlguidanceGrammars implements Grammars {
  private readonly tokenizer: Tokenizer;
  private readonly dictates: boolean;
  private readonly controls: ControlTokens;
  private readonly revive: (snapshot: Snapshot) => GrammarLibrary;
  private readonly snapshot: Snapshot;
  private library: GrammarLibrary;
  /** counts the instances: what belongs to an earlier one is gone */
  private instance = 0;
  /** by kind and source; the one used last is last */
  private readonly compiled = new Map<string, Compiled>();
  /** by kind and source: how often the library broke over it */
  private readonly breaks = new Map<string, number>();
  private open = 0;

  /**
   * Reads the vocabulary: 230 ms for 49,000 tokens, so before the first request.
   * @throws PicoSpecError `no_grammars`
   */
  constructor(options: LlguidanceOptions) {
    const { module, tokenizer, endTokens, limits = GRAMMAR_LIMITS, dictates = true } = options;
    this.tokenizer = tokenizer;
    this.dictates = dictates;
    this.controls = controlTokens(tokenizer, endTokens);
    const words = wordsOf(tokenizer, this.controls, endTokens);
    const { library, snapshot, revive } = GrammarLibrary.create(
      module,
      words,
      tokenizer.vocabularySize,
      limits,
    );
    this.library = library;
    this.snapshot = snapshot();
    this.revive = revive;
    const warm = library.compile("json_schema", WARM_UP);
    library.mask(warm);
    library.release(warm);
  }

  matcher(grammar: Grammar): GrammarMatcher {
    if (grammar.source.length > SESSION_LIMITS.grammarUnits) {
      throw new SettingError("grammar", `a grammar has at most ${SESSION_LIMITS.grammarUnits} characters`);
    }
    const source = read(grammar);
    const { tokenizer } = this;
    try {
      const handle = this.begin(source);
      this.open++;
      const held = { handle, instance: this.instance };
      return new LlguidanceMatcher(
        this.place(source),
        held,
        tokenizer,
        this.controls.known(markersOf(grammar)),
      );
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      throw new SettingError("grammar", `the grammar cannot be used: ${error.message}`);
    }
  }

  /** Answers that are under way, compiled grammars that are kept, and the library's memory in bytes. */
  get load(): { readonly open: number; readonly compiled: number; readonly bytes: number } {
    return { open: this.open, compiled: this.compiled.size, bytes: this.library.bytes };
  }

  /** What a matcher needs of this: the library that there is now, and a way to begin again in it. */
  private place(source: LibraryGrammar): MatcherPlace {
    return {
      dictates: this.dictates,
      library: () => this.current(),
      instance: () => {
        this.current();
        return this.instance;
      },
      begin: () => this.begin(source),
      broke: () => this.noteBreak(source),
      closed: ({ handle, instance }) => {
        this.open--;
        if (instance === this.instance) this.library.releaseQuietly(handle);
      },
    };
  }

  private current(): GrammarLibrary {
    if (this.library.broken) this.renew();
    return this.library;
  }

  private renew(): void {
    try {
      this.library = this.revive(this.snapshot);
    } catch (error) {
      const message = "there is no memory for the grammar library at this moment; try again later";
      throw new PicoSpecError("grammar_limit", message, { cause: error });
    }
    this.instance++;
    this.compiled.clear();
  }

  /** @throws PicoSpecError for a grammar that is none, or costs too much */
  private begin(source: LibraryGrammar): number {
    const key = keyOf(source);
    if ((this.breaks.get(key) ?? 0) >= MOST_BREAKS)
      throw new PicoSpecError("grammar_limit", "it broke the grammar library before");
    if (this.open === 0 && this.library.bytes > MOST_IDLE_BYTES) this.renew();
    const library = this.current();
    try {
      let compiled = this.compiled.get(key);
      if (compiled) this.compiled.delete(key);
      else compiled = { handle: library.compile(source.kind, source.text) };
      this.compiled.set(key, compiled);
      if (this.compiled.size > MOST_COMPILED) {
        const [oldest, unused] = this.compiled.entries().next().value!;
        this.compiled.delete(oldest);
        library.release(unused.handle);
      }
      return library.fork(compiled.handle);
    } catch (error) {
      if (library.broken) this.noteBreak(source);
      throw error;
    }
  }

  private noteBreak(source: LibraryGrammar): void {
    const key = keyOf(source);
    const before = this.breaks.get(key) ?? 0;
    this.breaks.delete(key);
    this.breaks.set(key, before + 1);
    if (this.breaks.size > MOST_BROKEN) this.breaks.delete(this.breaks.keys().next().value!);
  }
}

/** Whatever a source does to who reads it, it is an error of that source. */
function read(grammar: Grammar): LibraryGrammar {
  try {
    return libraryGrammar(grammar);
  } catch (error) {
    if (error instanceof SettingError) throw error;
    throw new SettingError("grammar", `the grammar cannot be read: ${messageOf(error)}`);
  }
}

function keyOf({ kind, text }: LibraryGrammar): string {
  return `${kind}\0${text}`;
}

/** Control tokens go by their texts, see markers.ts; other tokens without text are never allowed. */
function wordsOf(tokenizer: Tokenizer, controls: ControlTokens, endTokens: readonly number[]): Words {
  const pieces = Array.from({ length: tokenizer.vocabularySize }, (_, id) => {
    const text = controls.texts.get(id);
    return text === undefined ? tokenizer.piece(id) : new TextEncoder().encode(text);
  });
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + 2 + piece.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const piece of pieces) {
    view.setUint16(at, piece.length, true);
    bytes.set(piece, at + 2);
    at += 2 + piece.length;
  }
  return { bytes, ends: Uint32Array.from(endTokens) };
}
