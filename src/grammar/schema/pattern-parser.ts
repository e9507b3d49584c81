import { everything, negated, type Ranges, ranges, united } from "./characters.ts";
import { PatternError } from "./error.ts";

export type Node =
  | { readonly kind: "set"; readonly set: Ranges }
  | { readonly kind: "start" | "end" }
  | { readonly kind: "group"; readonly branches: readonly Branch[] }
  | { readonly kind: "repeat"; readonly of: Node; readonly least: number; readonly most: number };

export type Branch = readonly Node[];

const MOST_DEPTH = 100;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["f", "\f"],
]);
const WORD: Ranges = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const DIGIT: Ranges = [[0x30, 0x39]];
const LINE_ENDS = ranges("\n\r\u2028\u2029");

/** Reads ECMAScript's regular expressions, as far as sets, groups, repetitions and anchors go. */
export class PatternParser {
  /** code points */
  private readonly text: readonly string[];
  private at = 0;

  constructor(pattern: string) {
    this.text = Array.from(pattern);
  }

  get done(): boolean {
    return this.at === this.text.length;
  }

  alternatives(depth: number): Branch[] {
    if (depth > MOST_DEPTH) throw new PatternError(`it has more than ${MOST_DEPTH} groups in one another`);
    const branches: Branch[] = [];
    do branches.push(this.branch(depth));
    while (this.takes("|"));
    return branches;
  }

  private branch(depth: number): Branch {
    const nodes: Node[] = [];
    while (!this.done && this.text[this.at] !== "|" && this.text[this.at] !== ")") {
      const node = this.atom(depth);
      const bounds = this.quantifier();
      if (bounds && (node.kind === "start" || node.kind === "end")) {
        throw new PatternError("it repeats an anchor");
      }
      nodes.push(bounds ? { kind: "repeat", of: node, least: bounds[0], most: bounds[1] } : node);
    }
    return nodes;
  }

  private atom(depth: number): Node {
    const char = this.next();
    switch (char) {
      case "^":
        return { kind: "start" };
      case "$":
        return { kind: "end" };
      case ".":
        return { kind: "set", set: negated(LINE_ENDS) };
      case "(":
        return this.group(depth);
      case "[":
        return { kind: "set", set: this.characterClass() };
      case "\\":
        return { kind: "set", set: this.escape(false) };
      case "*":
      case "+":
      case "?":
        throw new PatternError(`there is nothing to repeat before ${char}`);
      default:
        return { kind: "set", set: this.single(char) };
    }
  }

  private group(depth: number): Node {
    if (this.takes("?")) {
      const name = this.text.slice(this.at, this.at + 100).join("");
      const match = /^(?::|<(?![=!])[^>]*>)/.exec(name);
      if (/^(?:<?[=!])/.test(name)) throw new PatternError("lookarounds are not supported");
      if (!match) throw new PatternError("it has a group of a kind that is not supported");
      this.at += Array.from(match[0]).length;
    }
    const branches = this.alternatives(depth + 1);
    if (!this.takes(")")) throw new PatternError("it has a ( without )");
    return { kind: "group", branches };
  }

  /** @returns how often, or null: no quantifier */
  private quantifier(): readonly [number, number] | null {
    const match = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/.exec(
      this.text.slice(this.at, this.at + 40).join(""),
    );
    if (!match) return null;
    this.at += match[0].length;
    if (match[1] === undefined) {
      const sign = match[0][0];
      return [sign === "+" ? 1 : 0, sign === "?" ? 1 : Infinity];
    }
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === "" ? Infinity : Number(match[3]);
    if (most < least) throw new PatternError("a repetition's bounds are the wrong way round");
    return [least, most];
  }

  private characterClass(): Ranges {
    const negative = this.takes("^");
    let set: Ranges = [];
    while (!this.takes("]")) {
      if (this.done) throw new PatternError("it has a [ without ]");
      const from = this.member();
      const isRange = this.text[this.at] === "-" && this.text[this.at + 1] !== "]";
      if (!isRange || this.at + 1 >= this.text.length) {
        set = united(set, from);
        continue;
      }
      this.at++;
      const to = this.member();
      const [low, high] = [from[0]![0], to[0]![1]];
      if (
        from.length > 1 ||
        to.length > 1 ||
        from[0]![0] !== from[0]![1] ||
        to[0]![0] !== to[0]![1] ||
        low > high
      ) {
        throw new PatternError("it has a class with a range that is none");
      }
      set = united(set, [[low, high]]);
    }
    return negative ? negated(set) : set;
  }

  private member(): Ranges {
    const char = this.next();
    return char === "\\" ? this.escape(true) : this.single(char);
  }

  private escape(inClass: boolean): Ranges {
    const char = this.next();
    const plain = ESCAPES.get(char);
    if (plain !== undefined) return ranges(plain);
    switch (char) {
      case "d":
        return DIGIT;
      case "D":
        return negated(DIGIT);
      case "w":
        return WORD;
      case "W":
        return negated(WORD);
      case "s":
        return ranges(
          "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff",
        );
      case "S":
        return everything("\\S");
      case "p":
      case "P":
        return everything(`\\${char}${this.upTo("}")}`);
      case "x":
        return this.code(this.take(/^[0-9a-fA-F]{2}/));
      case "u":
        return this.unicode();
      case "c":
        return this.code((this.take(/^[a-zA-Z]/).charCodeAt(0) % 32).toString(16));
      case "0":
        if (/[0-9]/.test(this.text[this.at] ?? "")) break;
        return [[0, 0]];
      case "b":
        if (inClass) return [[8, 8]];
        break;
    }
    if (/[A-Za-z0-9]/.test(char)) throw new PatternError(`\\${char} is not supported`);
    return this.single(char);
  }

  private unicode(): Ranges {
    if (this.takes("{")) return this.code(this.upTo("}").slice(0, -1));
    const unit = this.take(/^[0-9a-fA-F]{4}/);
    const low = /^\\u([dD][c-fC-F][0-9a-fA-F]{2})/.exec(this.text.slice(this.at, this.at + 6).join(""));
    if (!low || !/^[dD][89abAB]/.test(unit)) return this.code(unit);
    this.at += 6;
    return this.single(String.fromCharCode(Number.parseInt(unit, 16), Number.parseInt(low[1]!, 16)));
  }

  private code(hex: string): Ranges {
    const point = /^[0-9a-fA-F]+$/.test(hex) ? Number.parseInt(hex, 16) : Infinity;
    if (point > 0x10ffff) throw new PatternError("it has an escape that is no character");
    return this.single(String.fromCodePoint(point));
  }

  private single(char: string): Ranges {
    const point = char.codePointAt(0)!;
    if (point >= 0xd800 && point < 0xe000) throw new PatternError("it has half a character");
    return [[point, point]];
  }

  private next(): string {
    if (this.done) throw new PatternError("it ends too early");
    return this.text[this.at++]!;
  }

  private takes(char: string): boolean {
    if (this.text[this.at] !== char) return false;
    this.at++;
    return true;
  }

  private take(form: RegExp): string {
    const match = form.exec(this.text.slice(this.at, this.at + 8).join(""));
    if (!match) throw new PatternError("it has an escape that is none");
    this.at += match[0].length;
    return match[0];
  }

  private upTo(char: string): string {
    const end = this.text.indexOf(char, this.at);
    if (end < 0) throw new PatternError("it has an escape that is none");
    const text = this.text.slice(this.at, end + 1).join("");
    this.at = end + 1;
    return text;
  }
}
