import type { Tokenizer } from "../../text/tokenizer.ts";

/** Control tokens by the texts that they go by, for grammars that have these texts as markers. */

export interface ControlTokens {
  /** by id; without end tokens, and without those whose text another token is */
  readonly texts: ReadonlyMap<number, string>;
  known(markers: readonly string[]): KnownControls;
}

/** Control tokens as one grammar takes them. */
export interface KnownControls {
  /** ids that are in no answer */
  readonly unknown: ReadonlySet<number>;
  /** The same set of tokens, in place, without those. */
  masked(set: Int32Array): Int32Array;
  /** A text, cut at the markers: these as their tokens. */
  parts(text: string): readonly (string | number)[];
}

export function controlTokens(tokenizer: Tokenizer, endTokens: readonly number[]): ControlTokens {
  const ids = new Map<string, number>();
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    if (tokenizer.piece(id).length > 0 || endTokens.includes(id)) continue;
    const text = tokenizer.specialText?.(id) ?? "";
    if (text !== "" && !ids.has(text)) ids.set(text, id);
  }
  // One text is one word of a vocabulary.
  const lengths = new Set([...ids.keys()].map((text) => new TextEncoder().encode(text).length));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (let id = 0; ids.size > 0 && id < tokenizer.vocabularySize; id++) {
    const piece = tokenizer.piece(id);
    if (lengths.has(piece.length)) ids.delete(decoder.decode(piece));
  }
  const texts = new Map([...ids].map(([text, id]) => [id, text]));
  return { texts, known: (markers) => knownControls(ids, markers) };
}

function knownControls(ids: ReadonlyMap<string, number>, markers: readonly string[]): KnownControls {
  // The longest first: one may begin as another.
  const known = markers.filter((text) => ids.has(text)).sort((a, b) => b.length - a.length);
  const unknown = new Set([...ids].flatMap(([text, id]) => (known.includes(text) ? [] : [id])));
  return {
    unknown,
    masked: (set) => {
      for (const id of unknown) set[id >>> 5]! &= ~(1 << (id & 31));
      return set;
    },
    parts: (text) => {
      const parts: (string | number)[] = [];
      let from = 0;
      for (let at = 0; at < text.length; ) {
        const marker = known.find((one) => text.startsWith(one, at));
        if (marker === undefined) at++;
        else {
          if (at > from) parts.push(text.slice(from, at));
          parts.push(ids.get(marker)!);
          at += marker.length;
          from = at;
        }
      }
      return from < text.length ? [...parts, text.slice(from)] : parts;
    },
  };
}
