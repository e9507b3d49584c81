import { type Automaton, automaton, type Budget, type Overlap, overlap } from "./automaton.ts";
import { addBytes, type ByteSet, noBytes, shareBytes } from "./chars.ts";
import type { Item, Lexeme, LexemeRules } from "./lexemes.ts";
import type { Node } from "./syntax.ts";

/** Past this only characters are lexemes: comparing them all would take too long. */
const MOST_LEXEMES = 200;
/** Past this any two lexemes are taken to come at one place. */
const MOST_PLACED = 100;

/**
 * Lexemes that the longest match would read wrongly. Say the lexemes that may come at some place are A; the text there
 * has come to the end of o of A, and its next byte could go on with o or with another p of A. The longest match takes
 * p, so a grammar in which that byte may also be the first one behind o loses texts. Where no o and p are so, the longest
 * match is the only one, and llguidance, which keeps all lexemes of one length, loses nothing. Lexemes of one character
 * are never p, since UTF-8 is free of prefixes.
 * @returns each such p, to be split; null: too many to compare
 */
export function conflicts(
  rules: LexemeRules,
  empty: ReadonlySet<number>,
  body: (rule: number) => Node,
  budget: Budget,
): Lexeme[] | null {
  const order = new Order(rules, empty);
  const { lexemes } = order;
  if (lexemes.length > MOST_LEXEMES) return null;
  const automata = lexemes.map(({ node }) => automaton(node, body));
  const behind = order.next.map((next) => {
    const bytes = noBytes();
    for (const at of members(next)) addBytes(bytes, automata[at]?.firstBytes ?? ALL_BYTES);
    return bytes;
  });
  const compare = new Comparison(automata, budget);
  const together = places(order, compare);
  const wrong = new Set<Lexeme>();
  for (const [o, other] of together.entries()) {
    for (const p of members(other)) {
      if (wrong.has(lexemes[p]!) || isCharacter(lexemes[p]!.node)) continue;
      if (compare.goesOn(o, p, behind[o]!)) wrong.add(lexemes[p]!);
    }
    if (budget.steps <= 0) return null;
  }
  return [...wrong];
}

const ALL_BYTES: ByteSet = new Uint32Array(8).fill(0xffffffff);

/** Whether every text of a node is one character. */
function isCharacter(node: Node): boolean {
  switch (node.kind) {
    case "text":
      return node.codes.length === 1;
    case "class":
      return true;
    case "choice":
      return node.options.every(isCharacter);
    default:
      return false;
  }
}

/** Lexemes by number, as bits. */
type Lexemes = Uint32Array;

function* members(set: Lexemes): Iterable<number> {
  for (let word = 0; word < set.length; word++) {
    for (let bits = set[word]!; bits !== 0; bits &= bits - 1) yield word * 32 + 31 - Math.clz32(bits & -bits);
  }
}

/** @returns whether that made it larger */
function addAll(to: Lexemes, from: Lexemes): boolean {
  let grew = false;
  for (let i = 0; i < to.length; i++) {
    const both = (to[i]! | from[i]!) >>> 0;
    grew ||= both !== to[i];
    to[i] = both;
  }
  return grew;
}

/** Which lexemes come first, and which behind which. */
class Order {
  readonly lexemes: Lexeme[] = [];
  /** lexemes that may come right behind each one, wherever it stands */
  readonly next: Lexemes[];
  /** lexemes that an answer may begin with */
  readonly begin: Lexemes;
  private readonly numbers = new Map<Lexeme, number>();
  private readonly empty: ReadonlySet<number>;
  private readonly first = new Map<number, Lexemes>();
  private readonly behind = new Map<number, Lexemes>();

  constructor({ bodies, root }: LexemeRules, empty: ReadonlySet<number>) {
    this.empty = empty;
    for (const body of bodies.values()) this.collect(body);
    this.next = this.lexemes.map(() => this.none());
    for (const rule of bodies.keys()) {
      this.first.set(rule, this.none());
      this.behind.set(rule, this.none());
    }
    this.begin = this.first.get(root)!;
    if (this.lexemes.length > MOST_LEXEMES) return;
    this.untilStable(() => {
      let grew = false;
      for (const [rule, body] of bodies) grew = addAll(this.first.get(rule)!, this.firstOf(body)) || grew;
      return grew;
    });
    this.untilStable(() => {
      let grew = false;
      for (const [rule, body] of bodies) grew = this.follow(body, this.behind.get(rule)!) || grew;
      return grew;
    });
  }

  private untilStable(pass: () => boolean): void {
    while (pass()) {}
  }

  private none(): Lexemes {
    return new Uint32Array(Math.ceil(this.lexemes.length / 32));
  }

  private collect(item: Item): void {
    switch (item.kind) {
      case "lexeme":
        this.numbers.set(item, this.lexemes.length);
        this.lexemes.push(item);
        break;
      case "items":
        for (const one of item.items) this.collect(one);
        break;
      case "either":
        for (const option of item.options) this.collect(option);
        break;
      case "times":
        this.collect(item.of);
        break;
      default:
        break;
    }
  }

  private isOptional(item: Item): boolean {
    switch (item.kind) {
      case "lexeme":
        return item.optional;
      case "reference":
        return this.empty.has(item.rule);
      case "items":
        return item.items.every((one) => this.isOptional(one));
      case "either":
        return item.options.some((option) => this.isOptional(option));
      case "times":
        return item.from === 0 || this.isOptional(item.of);
    }
  }

  private firstOf(item: Item): Lexemes {
    const found = this.none();
    switch (item.kind) {
      case "lexeme": {
        const at = this.numbers.get(item)!;
        found[at >>> 5] = (1 << (at & 31)) >>> 0;
        break;
      }
      case "reference":
        addAll(found, this.first.get(item.rule)!);
        break;
      case "items":
        for (const one of item.items) {
          addAll(found, this.firstOf(one));
          if (!this.isOptional(one)) break;
        }
        break;
      case "either":
        for (const option of item.options) addAll(found, this.firstOf(option));
        break;
      case "times":
        addAll(found, this.firstOf(item.of));
        break;
    }
    return found;
  }

  /** @param behind lexemes that may come behind the item. @returns whether that was new somewhere */
  private follow(item: Item, behind: Lexemes): boolean {
    switch (item.kind) {
      case "lexeme":
        return addAll(this.next[this.numbers.get(item)!]!, behind);
      case "reference":
        return addAll(this.behind.get(item.rule)!, behind);
      case "either":
        return item.options.map((option) => this.follow(option, behind)).includes(true);
      case "times": {
        if (item.to === 1) return this.follow(item.of, behind);
        const more = behind.slice();
        addAll(more, this.firstOf(item.of));
        return this.follow(item.of, more);
      }
      case "items": {
        let grew = false;
        let then = behind;
        for (const one of item.items.toReversed()) {
          grew = this.follow(one, then) || grew;
          const first = this.firstOf(one);
          if (this.isOptional(one)) addAll(first, then);
          then = first;
        }
        return grew;
      }
    }
  }
}

/** Comparisons of lexemes by number, each made once. */
class Comparison {
  private readonly automata: readonly (Automaton | null)[];
  private readonly budget: Budget;
  private readonly done = new Map<number, Overlap | null>();

  constructor(automata: readonly (Automaton | null)[], budget: Budget) {
    this.automata = automata;
    this.budget = budget;
  }

  /** Whether a text may be both; where that is not known, it may. */
  common(o: number, p: number): boolean {
    return o === p || (this.mayMeet(o, p) && (this.overlap(o, p)?.common ?? true));
  }

  /** Whether behind a text of o, a byte of `behind` may go on with p. */
  goesOn(o: number, p: number, behind: ByteSet): boolean {
    const longer = this.automata[p]?.bytes ?? ALL_BYTES;
    if (!this.mayMeet(o, p) || !shareBytes(longer, behind)) return false;
    return shareBytes(this.overlap(o, p)?.longer ?? longer, behind);
  }

  private mayMeet(o: number, p: number): boolean {
    const [a, b] = [this.automata[o], this.automata[p]];
    return !a || !b || shareBytes(a.firstBytes, b.firstBytes);
  }

  private overlap(o: number, p: number): Overlap | null {
    const key = o * MOST_LEXEMES + p;
    let found = this.done.get(key);
    if (found === undefined) {
      const [a, b] = [this.automata[o], this.automata[p]];
      found = a && b && this.budget.steps > 0 ? overlap(a, b, this.budget) : null;
      this.done.set(key, found);
    }
    return found;
  }
}

/** The lexemes that may come at one place with each: both begin the answer, or are behind two that one text may be. */
function places({ lexemes, next, begin }: Order, compare: Comparison): Lexemes[] {
  const count = lexemes.length;
  if (count > MOST_PLACED) {
    const all = new Uint32Array(begin.length);
    for (let i = 0; i < count; i++) all[i >>> 5]! |= 1 << (i & 31);
    return lexemes.map(() => all);
  }
  const together = lexemes.map(() => new Uint32Array(begin.length));
  const done = lexemes.map(() => new Uint32Array(begin.length));
  for (const at of members(begin)) addAll(together[at]!, begin);
  // A lexeme meets itself wherever it comes.
  for (const after of next) for (const at of members(after)) addAll(together[at]!, after);
  let grew = true;
  while (grew) {
    grew = false;
    for (let o = 0; o < count; o++) {
      for (const p of members(together[o]!)) {
        if ((done[o]![p >>> 5]! >>> (p & 31)) & 1) continue;
        done[o]![p >>> 5]! |= 1 << (p & 31);
        if (o === p || !compare.common(o, p)) continue;
        grew = true;
        for (const at of members(next[o]!)) addAll(together[at]!, next[p]!);
        for (const at of members(next[p]!)) addAll(together[at]!, next[o]!);
      }
    }
  }
  return together;
}
