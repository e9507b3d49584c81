import { addBytes, type ByteSet, type CharSet, firstBytes, intersects, noBytes } from "./chars.ts";
import type { Node } from "./syntax.ts";

/** Characters of lexemes: too many, and it is taken that anything may be. */
const MOST_POSITIONS = 20_000;
const MOST_EDGES = 100_000;
const MOST_NODES = 50_000;
const MOST_DEPTH = 1000;

/**
 * A lexeme as an automaton: a state for each place of a character (Glushkov, 1961). Repeats have no counts: it takes the
 * lexeme's texts and more, never fewer.
 */
export interface Automaton {
  /** what each place takes */
  readonly sets: readonly CharSet[];
  /** places of a first character */
  readonly first: readonly number[];
  /** the places behind each place */
  readonly next: readonly (readonly number[])[];
  readonly last: ReadonlySet<number>;
  /** the bytes that a text may begin with */
  readonly firstBytes: ByteSet;
  /** the bytes that any of its characters may begin with */
  readonly bytes: ByteSet;
}

/** @returns null where that would be too large */
export function automaton(node: Node, body: (rule: number) => Node): Automaton | null {
  return new Builder(body).build(node);
}

interface Part {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly empty: boolean;
}

class TooLarge extends Error {}

class Builder {
  private readonly body: (rule: number) => Node;
  private readonly sets: CharSet[] = [];
  private readonly next: Set<number>[] = [];
  private edges = 0;
  private nodes = 0;
  private depth = 0;

  constructor(body: (rule: number) => Node) {
    this.body = body;
  }

  build(node: Node): Automaton | null {
    try {
      const { first, last } = this.part(node);
      const { sets } = this;
      const next = this.next.map((places) => [...places]);
      const begins = noBytes();
      for (const place of first) addBytes(begins, firstBytes(sets[place]!));
      const bytes = noBytes();
      for (const set of sets) addBytes(bytes, firstBytes(set));
      return { sets, first, next, last: new Set(last), firstBytes: begins, bytes };
    } catch (error) {
      if (error instanceof TooLarge) return null;
      throw error;
    }
  }

  private part(node: Node): Part {
    if (++this.nodes > MOST_NODES || this.depth > MOST_DEPTH) throw new TooLarge();
    switch (node.kind) {
      case "text":
        return this.chain(node.codes.map((code) => () => this.place([code, code])));
      case "class":
        return this.place(node.set);
      case "rule":
        return this.deeper(() => this.part(this.body(node.rule)));
      case "sequence":
        return this.chain(node.parts.map((part) => () => this.deeper(() => this.part(part))));
      case "choice": {
        const options = node.options.map((option) => this.deeper(() => this.part(option)));
        return {
          first: options.flatMap(({ first }) => first),
          last: options.flatMap(({ last }) => last),
          empty: options.some(({ empty }) => empty),
        };
      }
      case "repeat": {
        const of = this.deeper(() => this.part(node.of));
        if (node.to > 1) this.connect(of.last, of.first);
        return { ...of, empty: of.empty || node.from === 0 };
      }
    }
  }

  private chain(parts: readonly (() => Part)[]): Part {
    let whole: Part = { first: [], last: [], empty: true };
    for (const make of parts) {
      const part = make();
      this.connect(whole.last, part.first);
      whole = {
        first: whole.empty ? [...whole.first, ...part.first] : whole.first,
        last: part.empty ? [...whole.last, ...part.last] : part.last,
        empty: whole.empty && part.empty,
      };
    }
    return whole;
  }

  private place(set: CharSet): Part {
    const place = this.sets.length;
    if (place >= MOST_POSITIONS) throw new TooLarge();
    this.sets.push(set);
    this.next.push(new Set());
    return { first: [place], last: [place], empty: false };
  }

  private connect(from: readonly number[], to: readonly number[]): void {
    this.edges += from.length * to.length;
    if (this.edges > MOST_EDGES) throw new TooLarge();
    for (const place of from) for (const behind of to) this.next[place]!.add(behind);
  }

  private deeper<T>(act: () => T): T {
    this.depth++;
    const result = act();
    this.depth--;
    return result;
  }
}

/** Steps that comparisons may take together. */
export interface Budget {
  steps: number;
}

export interface Overlap {
  /** whether there is a text that both have */
  readonly common: boolean;
  /** behind a text of the first, the bytes that a longer text of the second goes on with */
  readonly longer: ByteSet;
}

/** What two lexemes share, taking every pair of places that one text leads to. @returns null where the budget ends */
export function overlap(a: Automaton, b: Automaton, budget: Budget): Overlap | null {
  const longer = noBytes();
  let common = false;
  const seen = new Set<number>();
  const open: [number, number][] = [];
  const meet = (left: readonly number[], right: readonly number[]): boolean => {
    budget.steps -= left.length * right.length;
    for (const i of left) {
      for (const j of right) {
        const pair = i * b.sets.length + j;
        if (seen.has(pair) || !intersects(a.sets[i]!, b.sets[j]!)) continue;
        seen.add(pair);
        open.push([i, j]);
      }
    }
    return budget.steps > 0;
  };
  if (!meet(a.first, b.first)) return null;
  for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
    const [i, j] = pair;
    if (a.last.has(i)) {
      common ||= b.last.has(j);
      for (const behind of b.next[j]!) addBytes(longer, firstBytes(b.sets[behind]!));
    }
    if (!meet(a.next[i]!, b.next[j]!)) return null;
  }
  return { common, longer };
}
