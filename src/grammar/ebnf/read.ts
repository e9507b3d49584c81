import { ANY_CHARACTER, type CharSet, charSet, complement } from "./chars.ts";
import { Scanner } from "./scan.ts";
import { choice, EBNF_LIMITS, EMPTY, ebnfError, type Node, type Rules, repeat, sequence } from "./syntax.ts";

/**
 * Reads llama.cpp's GBNF and xgrammar's EBNF. Where the two differ: a rule goes on until the next `name ::=` at the
 * beginning of a line (xgrammar), \x has two digits and `.` is any character (llama.cpp), unless it is within a name that
 * is defined (xgrammar); strings and classes end on their line, and no rule is defined twice (xgrammar).
 * @throws SettingError `grammar`: what is wrong, on which line
 */
export function readEbnf(source: string): Rules {
  return new Reader(source).read();
}

const MACROS = new Set(["TagDispatch", "TokenTagDispatch", "Token", "ExcludeToken", "Regex"]);

class Reader extends Scanner {
  private readonly numbers = new Map<string, number>();
  /** where each name was first met, in UTF-16 units */
  private readonly met: number[] = [];
  private readonly bodies: (Node | undefined)[] = [];
  private nesting = 0;

  read(): Rules {
    this.space();
    while (this.at < this.source.length) this.rule();
    const root = this.numbers.get("root");
    const missing = this.met.findIndex((_, rule) => this.bodies[rule] === undefined);
    if (missing >= 0) {
      const name = [...this.numbers.keys()][missing]!;
      throw this.error(`there is no rule ${name}; define it with ${name} ::= ...`, this.met[missing]!);
    }
    if (root === undefined) {
      throw ebnfError("there is no rule root; name the rule that the whole answer has to fit root");
    }
    return { bodies: this.bodies as Node[], root };
  }

  private rule(): void {
    const { at } = this;
    const name = this.name();
    if (name === null) throw this.error("a rule has to begin here: name ::= ...");
    this.space();
    if (!this.take("::=")) throw this.error(`expected ::= after the name ${name}`);
    if (!this.beginsLine(at)) {
      throw this.error(`rule ${name} has to begin on a line of its own`, at);
    }
    const number = this.numberOf(name, at);
    if (this.bodies[number] !== undefined) {
      throw this.error(`rule ${name} is defined twice; put its alternatives into one rule with |`, at);
    }
    this.space();
    this.bodies[number] = this.choice();
    if (this.at < this.source.length && !this.atRule()) throw this.unexpected();
  }

  private choice(): Node {
    const options = [this.sequence()];
    while (this.take("|")) {
      this.space();
      options.push(this.sequence());
    }
    return choice(options);
  }

  private sequence(): Node {
    const parts: Node[] = [];
    while (this.at < this.source.length && !this.atRule()) {
      const part = this.part();
      if (part === null) break;
      this.space();
      parts.push(this.repeated(part));
    }
    return sequence(parts);
  }

  /** @returns null where none begins */
  private part(): Node | null {
    switch (this.source[this.at]) {
      case '"':
        return this.text();
      case "[":
        return { kind: "class", set: this.class() };
      case ".":
        this.at++;
        return { kind: "class", set: ANY_CHARACTER };
      case "(":
        return this.group();
      case "<":
      case "!":
        throw this.error(
          "tokens such as <think> or <[7]> are not supported; write the text itself in quotes",
        );
      default:
        return this.reference();
    }
  }

  private group(): Node {
    const { at } = this;
    if (this.source[at + 1] === "=") throw this.error("lookaheads (= ...) are not supported; leave it out");
    this.at++;
    this.deeper(1);
    this.space();
    const node = this.choice();
    if (!this.take(")")) {
      throw this.at < this.source.length && !this.atRule()
        ? this.unexpected()
        : this.error("this ( is never closed; write a )", at);
    }
    this.deeper(-1);
    return node;
  }

  private reference(): Node | null {
    const { at } = this;
    const name = this.name();
    if (name === null) return null;
    if (MACROS.has(name) && this.source[this.at] === "(" && !this.numbers.has(name)) {
      throw this.error(`${name}(...) is not supported; write what it allows as rules`, at);
    }
    return { kind: "rule", rule: this.numberOf(name, at) };
  }

  private text(): Node {
    const { source } = this;
    const begin = this.at++;
    const codes: number[] = [];
    while (source[this.at] !== '"') {
      if (this.atLineEnd())
        throw this.error('this string is never closed; write a ", and \\n for a new line', begin);
      codes.push(this.character(false));
    }
    this.at++;
    return codes.length === 0 ? EMPTY : { kind: "text", codes };
  }

  private class(): CharSet {
    const { source } = this;
    const begin = this.at++;
    const negated = this.take("^");
    const ranges: [number, number][] = [];
    while (source[this.at] !== "]") {
      if (this.atLineEnd())
        throw this.error("this class is never closed; write a ], and \\n for a new line", begin);
      const { at } = this;
      const low = this.character(true);
      let high = low;
      if (source[this.at] === "-" && source[this.at + 1] !== "]") {
        this.at++;
        if (this.atLineEnd()) throw this.error("this class is never closed; write a ]", begin);
        high = this.character(true);
      }
      if (high < low)
        throw this.error(`the range ${source.slice(at, this.at)} is backwards; swap its ends`, at);
      ranges.push([low, high]);
    }
    this.at++;
    const set = negated ? complement(charSet(ranges)) : charSet(ranges);
    if (ranges.length === 0 || set.length === 0) {
      throw this.error("this class has no characters; write those that it allows, or . for any", begin);
    }
    return set;
  }

  /** A part with the repeats behind it. */
  private repeated(part: Node): Node {
    let node = part;
    let count = 0;
    for (;;) {
      const { at } = this;
      const bounds = this.bounds();
      if (bounds === null) break;
      this.deeper(1);
      count++;
      node = repeat(node, bounds[0], bounds[1]);
      if (product(node) > EBNF_LIMITS.repeatsInRepeats) {
        const most = EBNF_LIMITS.repeatsInRepeats;
        throw this.error(`repeats within repeats give more than ${most} times; use smaller ones or *`, at);
      }
      this.space();
    }
    this.deeper(-count);
    return node;
  }

  private bounds(): readonly [number, number] | null {
    if (this.take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.take("?")) return [0, 1];
    const { at } = this;
    if (!this.take("{")) return null;
    const from = this.number();
    let to = from;
    if (this.take(",")) {
      this.space();
      to = this.number() ?? Number.POSITIVE_INFINITY;
    }
    const open = from === null && to === Number.POSITIVE_INFINITY;
    if (to === null || open || !this.take("}")) {
      throw this.error("a repeat is written {n}, {m,}, {m,n} or {,n}", at);
    }
    const least = from ?? 0;
    const most = Math.max(least, to === Number.POSITIVE_INFINITY ? 0 : to);
    if (most > EBNF_LIMITS.repeats) {
      throw this.error(`a repeat has at most ${EBNF_LIMITS.repeats} times; use * or + for more`, at);
    }
    if (to < least) throw this.error(`the repeat {${least},${to}} is backwards; swap its ends`, at);
    return [least, to];
  }

  private numberOf(name: string, at: number): number {
    const known = this.numbers.get(name);
    if (known !== undefined) return known;
    const number = this.met.length;
    if (number >= EBNF_LIMITS.rules) throw this.error(`a grammar has at most ${EBNF_LIMITS.rules} rules`, at);
    this.numbers.set(name, number);
    this.met.push(at);
    return number;
  }

  private deeper(by: number): void {
    this.nesting += by;
    if (this.nesting > EBNF_LIMITS.nesting) {
      throw this.error(
        `more than ${EBNF_LIMITS.nesting} groups and repeats within each other; use rules of their own`,
      );
    }
  }
}

const products = new WeakMap<Node, number>();

/** How often the innermost is repeated at most, where repeats without an end count as their least. */
function product(node: Node): number {
  let times = products.get(node);
  if (times === undefined) {
    times = productOf(node);
    products.set(node, times);
  }
  return times;
}

function productOf(node: Node): number {
  switch (node.kind) {
    case "repeat": {
      const times = node.to === Number.POSITIVE_INFINITY ? Math.max(1, node.from) : node.to;
      return times * product(node.of);
    }
    case "sequence":
      return node.parts.reduce((most, part) => Math.max(most, product(part)), 1);
    case "choice":
      return node.options.reduce((most, option) => Math.max(most, product(option)), 1);
    default:
      return 1;
  }
}
