import { describe, expect, it } from "vitest";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";

/**
 * Random grammars as EBNF through llguidance, against a recogniser written from the definition: after every beginning of
 * a text, the tokens that may come are exactly those that some text of the grammar goes on with.
 */

type Tree =
  | { readonly is: "text"; readonly text: string }
  | { readonly is: "class"; readonly chars: string; readonly not: boolean }
  | { readonly is: "rule"; readonly rule: number }
  | { readonly is: "all" | "any"; readonly trees: readonly Tree[] }
  | { readonly is: "times"; readonly tree: Tree; readonly from: number; readonly to: number };

const ALPHABET = ["a", "b", "c", "é"];
const MOST_CHARACTERS = 4;
/** From 70 on, where a mask that outlives a rollback shows. More by hand: EBNF_GRAMMARS=350 EBNF_FIRST=0. */
const GRAMMARS = Number(process.env.EBNF_GRAMMARS ?? 40);
const FIRST = Number(process.env.EBNF_FIRST ?? 70);
const END = 1;
/** no bytes, the end, single characters, longer tokens */
const PIECES = ["", "", ...ALPHABET, "ab", "bca", "éa", "cc"];
const encoder = new TextEncoder();
const tokenizer: Tokenizer = {
  fingerprint: "letters",
  vocabularySize: PIECES.length,
  beginText: "",
  endText: "",
  addsBegin: false,
  encode: (text) => Int32Array.from([...text].map((letter) => PIECES.indexOf(letter))),
  piece: (token) => encoder.encode(PIECES[token]!),
};
const grammars = await byteGrammars(tokenizer);

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function randomRules(seed: number): Tree[] {
  const random = randomOf(seed);
  const below = (n: number) => Math.floor(random() * n);
  const rules = 1 + below(4);
  const tree = (depth: number): Tree => {
    const kind = below(depth > 2 ? 4 : 9);
    if (kind < 1)
      return { is: "text", text: Array.from({ length: below(4) }, () => ALPHABET[below(4)]).join("") };
    if (kind < 2)
      return {
        is: "class",
        chars: ALPHABET.filter((_, i) => below(2) || i === depth).join(""),
        not: below(4) === 0,
      };
    if (kind < 4) return { is: "rule", rule: below(rules) };
    const trees = Array.from({ length: 1 + below(3) }, () => tree(depth + 1));
    if (kind < 6) return { is: "all", trees };
    if (kind < 7) return { is: "any", trees };
    const from = below(3);
    const to = [1, Number.POSITIVE_INFINITY, from + 1, from + 2][below(4)]!;
    return { is: "times", tree: tree(depth + 1), from: Math.min(from, to), to };
  };
  return Array.from({ length: rules }, () => ({
    is: "any",
    trees: Array.from({ length: 1 + below(3) }, () => tree(0)),
  }));
}

function ebnf(tree: Tree): string {
  switch (tree.is) {
    case "text":
      return JSON.stringify(tree.text);
    case "class":
      return `[${tree.not ? "^" : ""}${tree.chars || "z"}]`;
    case "rule":
      return tree.rule === 0 ? "root" : `rule-${tree.rule}`;
    case "all":
      return `(${tree.trees.map(ebnf).join(" ")})`;
    case "any":
      return `(${tree.trees.map(ebnf).join(" | ")})`;
    case "times":
      return `(${ebnf(tree.tree)})${times(tree.from, tree.to)}`;
  }
}

function times(from: number, to: number): string {
  if (to === Number.POSITIVE_INFINITY) return ["*", "+"][from] ?? `{${from},}`;
  return from === 0 && to === 1 ? "?" : `{${from},${to}}`;
}

/** What comes to mind first: strings, classes and repeated classes as they are, each of which is then a lexeme. */
function naive(tree: Tree): string {
  switch (tree.is) {
    case "class":
      return `/[${tree.not ? "^" : ""}${tree.chars || "z"}]/`;
    case "rule":
      return tree.rule === 0 ? "start" : `r${tree.rule}`;
    case "all":
      return `(${tree.trees.map(naive).join(" ")})`;
    case "any":
      return `(${tree.trees.map(naive).join(" | ")})`;
    case "times":
      return tree.tree.is === "class" && tree.from > 0
        ? `${naive(tree.tree).slice(0, -1)}${times(tree.from, tree.to)}/`
        : `(${naive(tree.tree)})${times(tree.from, tree.to)}`;
    default:
      return ebnf(tree);
  }
}

/** By the definition: ends of texts that a tree has from each place on, as bits, until nothing is new. */
class Reference {
  private readonly rules: readonly Tree[];
  private readonly productive = new Set<number>();
  private readonly known = new Map<string, boolean>();

  constructor(rules: readonly Tree[]) {
    this.rules = rules;
    for (let pass = 0; pass <= rules.length; pass++) {
      for (const [rule, tree] of rules.entries()) if (this.canEnd(tree)) this.productive.add(rule);
    }
  }

  get empty(): boolean {
    return !this.productive.has(0);
  }

  has(text: string): boolean {
    return this.ask(text, false);
  }

  begins(text: string): boolean {
    return this.ask(text, true);
  }

  /** Bit n + 1 of the ends says that the text ends within the tree, which goes on. */
  private ask(text: string, within: boolean): boolean {
    const key = `${within}${text}`;
    const found = this.known.get(key);
    if (found !== undefined) return found;
    const letters = [...text];
    const n = letters.length;
    const table = this.rules.map(() => new Array<number>(n + 1).fill(0));
    for (let grew = true; grew; ) {
      grew = false;
      for (const [rule, tree] of this.rules.entries()) {
        for (let at = 0; at <= n; at++) {
          const ends = this.ends(tree, at, letters, table);
          grew ||= ends !== table[rule]![at];
          table[rule]![at] = ends;
        }
      }
    }
    const ends = table[0]![0]!;
    const answer = within ? ends >>> n !== 0 : ((ends >>> n) & 1) === 1;
    this.known.set(key, answer);
    return answer;
  }

  private ends(tree: Tree, at: number, letters: readonly string[], table: readonly number[][]): number {
    const n = letters.length;
    if (!this.canEnd(tree)) return 0;
    switch (tree.is) {
      case "text": {
        const text = [...tree.text];
        for (const [i, letter] of text.entries()) {
          if (at + i === n) return 1 << (n + 1);
          if (letters[at + i] !== letter) return 0;
        }
        return 1 << (at + text.length);
      }
      case "class":
        if (at === n) return 1 << (n + 1);
        return (tree.chars || "z").includes(letters[at]!) !== tree.not ? 1 << (at + 1) : 0;
      case "rule":
        return table[tree.rule]![at]!;
      case "all":
        return tree.trees.reduce((from, next) => this.after(from, next, letters, table), 1 << at);
      case "any":
        return tree.trees.reduce((all, option) => all | this.ends(option, at, letters, table), 0);
      case "times": {
        let all = 0;
        let now = 1 << at;
        const most = Math.min(tree.to, tree.from + n + 2);
        for (let count = 0; count <= most; count++) {
          if (count >= tree.from) all |= now;
          now = this.after(now, tree.tree, letters, table);
        }
        return all;
      }
    }
  }

  private after(from: number, tree: Tree, letters: readonly string[], table: readonly number[][]): number {
    const bit = 1 << (letters.length + 1);
    let to = this.canEnd(tree) ? from & bit : 0;
    for (let at = 0; at <= letters.length; at++)
      if ((from >>> at) & 1) to |= this.ends(tree, at, letters, table);
    return to;
  }

  private canEnd(tree: Tree): boolean {
    switch (tree.is) {
      case "rule":
        return this.productive.has(tree.rule);
      case "all":
        return tree.trees.every((one) => this.canEnd(one));
      case "any":
        return tree.trees.some((one) => this.canEnd(one));
      case "times":
        return tree.from === 0 || this.canEnd(tree.tree);
      default:
        return true;
    }
  }
}

/** The first beginning after which a grammar and the reference differ; null: none. */
function difference(kind: "ebnf" | "lark", source: string, reference: Reference): string | null {
  const open = [""];
  // One matcher for all, which is taken back and forth as drafts do.
  const matcher = grammars.matcher({ kind, source });
  for (let text = open.pop(); text !== undefined; text = open.pop()) {
    const tokens = tokenizer.encode(text, false);
    const set = matcher.allowed(tokens, 0, tokens.length)?.[0] ?? null;
    if (set === null) return `${JSON.stringify(text)} is not allowed`;
    for (let token = END; token < PIECES.length; token++) {
      const piece = PIECES[token]!;
      const expected = token === END ? reference.has(text) : reference.begins(text + piece);
      const is = ((set >>> token) & 1) === 1;
      if (is !== expected) {
        return `after ${JSON.stringify(text)}: ${piece || "the end"} ${is ? "is" : "is not"} allowed`;
      }
      if (expected && ALPHABET.includes(piece) && [...text].length < MOST_CHARACTERS) open.push(text + piece);
    }
  }
  matcher.close();
  return null;
}

interface Outcome {
  compared: number;
  /** have no text, and are refused */
  none: number;
  different: string[];
}

/** @param translate the Lark of the rules; null: they are given as EBNF */
function compare(from: number, to: number, translate: ((rules: readonly Tree[]) => string) | null): Outcome {
  const outcome: Outcome = { compared: 0, none: 0, different: [] };
  for (let seed = from; seed < to; seed++) {
    const rules = randomRules(seed);
    const reference = new Reference(rules);
    const source = rules
      .map((tree, rule) => `${ebnf({ is: "rule", rule })} ::= ${ebnf(tree).slice(1, -1)}\n`)
      .join("");
    if (reference.empty) {
      outcome.none++;
      if (translate === null) {
        expect(() => grammars.matcher({ kind: "ebnf", source }), source).toThrow("has no text that ends");
      }
      continue;
    }
    const text = translate === null ? source : translate(rules);
    const found = difference(translate === null ? "ebnf" : "lark", text, reference);
    if (found !== null) outcome.different.push(`seed ${seed}: ${found}\n${text}`);
    outcome.compared++;
  }
  return outcome;
}

describe("random grammars", () => {
  it(`allow what the definition allows: ${GRAMMARS} of them, all beginnings up to ${MOST_CHARACTERS} characters`, () => {
    const { compared, none, different } = compare(FIRST, FIRST + GRAMMARS, null);
    expect(different).toEqual([]);
    expect(compared).toBeGreaterThan(GRAMMARS * 0.7);
    expect(none).toBeGreaterThan(0);
  });

  it("control: strings and classes as lexemes lose texts", () => {
    const lark = (rules: readonly Tree[]) => {
      return rules
        .map((tree, rule) => `${naive({ is: "rule", rule })}: ${naive(tree).slice(1, -1)}\n`)
        .join("");
    };
    const { compared, different } = compare(FIRST, FIRST + GRAMMARS, lark);
    expect(different.length).toBeGreaterThan(compared * 0.05);
  });
});
