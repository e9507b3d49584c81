import { isTame } from "../../text/tame.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { assert } from "../../util/assert.ts";
import type { GrammarMatcher } from "../grammar.ts";
import type { KnownControls } from "./controls.ts";
import type { GrammarLibrary } from "./library.ts";

const NOTHING = new Int32Array(0);

/** Where a matcher lives. */
export interface MatcherPlace {
  readonly dictates: boolean;
  /** never one that is broken */
  library(): GrammarLibrary;
  /** its number */
  instance(): number;
  /** the grammar at its beginning, once more */
  begin(): number;
  /** the matcher broke the library */
  broke(): void;
  /** the matcher is not asked any more; never throws */
  closed(held: Held): void;
}

export interface Held {
  readonly handle: number;
  /** the number of the library's instance that it is in */
  readonly instance: number;
}

/** llguidance's matcher, moved back and forth to whichever answer is asked about. */
export class LlguidanceMatcher implements GrammarMatcher {
  private readonly place: MatcherPlace;
  private readonly tokenizer: Tokenizer;
  private readonly controls: KnownControls;
  private held: Held;
  /** what the matcher has accepted */
  private readonly accepted: number[] = [];
  /** the set behind `accepted`; null: it has to be computed */
  private current: Int32Array | null = null;
  private closed = false;

  constructor(place: MatcherPlace, held: Held, tokenizer: Tokenizer, controls: KnownControls) {
    this.place = place;
    this.held = held;
    this.tokenizer = tokenizer;
    this.controls = controls;
  }

  get dictates(): boolean {
    return this.place.dictates;
  }

  allowed(tokens: ArrayLike<number>, from: number, to: number): Int32Array | null {
    return this.within((library) => {
      if (!this.moveTo(library, tokens, from, to)) return null;
      this.current ??= this.controls.masked(library.mask(this.held.handle) ?? this.nothing());
      return this.current;
    });
  }

  forced(tokens: ArrayLike<number>, from: number, to: number): Int32Array {
    return this.within((library) => {
      if (!this.moveTo(library, tokens, from, to)) return NOTHING;
      const bytes = library.forced(this.held.handle);
      if (bytes.length === 0) return NOTHING;
      const spelt = this.spell(bytes);
      return spelt.slice(0, library.sure(this.held.handle, Uint32Array.from(spelt)));
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.place.closed(this.held);
  }

  /** @throws PicoSpecError `grammar_limit` */
  private within<T>(act: (library: GrammarLibrary) => T): T {
    assert(!this.closed, "a closed grammar was asked");
    const { place } = this;
    if (place.instance() !== this.held.instance) this.beginAgain();
    const library = place.library();
    try {
      return act(library);
    } catch (error) {
      if (library.broken) place.broke();
      throw error;
    }
  }

  /** Another answer broke the library: this one begins in the new one, and moves to where it is asked. */
  private beginAgain(): void {
    const { place } = this;
    const handle = place.begin();
    this.held = { handle, instance: place.instance() };
    this.accepted.length = 0;
    this.current = null;
  }

  /** @returns whether the grammar allows the answer */
  private moveTo(library: GrammarLibrary, tokens: ArrayLike<number>, from: number, to: number): boolean {
    const { accepted } = this;
    let shared = 0;
    while (shared < accepted.length && from + shared < to && accepted[shared] === tokens[from + shared]) {
      shared++;
    }
    if (shared < accepted.length) {
      library.rollback(this.held.handle, accepted.length - shared);
      accepted.length = shared;
      this.current = null;
    }
    for (let i = from + shared; i < to; i++) {
      const token = tokens[i]!;
      if (this.controls.unknown.has(token) || !library.consume(this.held.handle, token)) return false;
      accepted.push(token);
      this.current = null;
    }
    return true;
  }

  /** The tokens of bytes as the model writes them: its control tokens, and between them as its tokenizer does. */
  private spell(bytes: Uint8Array): Int32Array {
    // A character that is cut off at the end is not forced as a whole.
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });
    // A grammar of a stranger may dictate what tokenizers fail over: then the model says it, token by token.
    if (!isTame(text)) return NOTHING;
    const spelt: number[] = [];
    // Bytes that are no text are nothing that a tokenizer writes.
    for (const part of this.controls.parts(text.split("\ufffd", 1)[0]!)) {
      if (typeof part === "number") spelt.push(part);
      else {
        const { tokens, whole } = this.spellPlain(part);
        spelt.push(...tokens);
        if (!whole) break;
      }
    }
    return Int32Array.from(spelt);
  }

  /** In the middle of a text; not whole where the tokenizer cannot. */
  private spellPlain(text: string): { readonly tokens: Int32Array; readonly whole: boolean } {
    const { tokenizer } = this;
    const bytes = new TextEncoder().encode(text);
    const tokens = tokenizer.encode(text, false);
    const first = tokenizer.addsBegin ? 1 : 0;
    let at = 0;
    for (let i = first; i < tokens.length; i++) {
      const piece = tokenizer.piece(tokens[i]!);
      // Some tokenizers put a space before a text: then this is not how it goes on within one.
      if (piece.length === 0 || piece.some((byte, offset) => byte !== bytes[at + offset])) {
        return { tokens: tokens.slice(first, i), whole: false };
      }
      at += piece.length;
    }
    return { tokens: tokens.slice(first), whole: true };
  }

  private nothing(): Int32Array {
    return new Int32Array(Math.ceil(this.tokenizer.vocabularySize / 32));
  }
}
