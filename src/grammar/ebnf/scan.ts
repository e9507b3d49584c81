import { characterAt } from "./escapes.ts";
import { ebnfError } from "./syntax.ts";

const BACKSLASH = 0x5c;
const HASH = 0x23;
const FIRST_SURROGATE = 0xd800;
const NAME = /[A-Za-z0-9_-]+/y;
/** Bounded, since what follows an undotted name is looked at again after each dot. */
const DOTTED_NAME = /[A-Za-z0-9_-][A-Za-z0-9_.-]{0,255}/y;
const SPACE = /(?:[ \t\r\n]+|#[^\r\n]*)*/y;
const NUMBER = /[0-9]+/y;

/** Names, spaces and characters of EBNF, from one place of the source on. */
export class Scanner {
  protected readonly source: string;
  protected at = 0;
  /** names with dots that are followed by ::= somewhere, to tell what a dot means */
  private readonly dotted = new Set<string>();
  /** what stands before the first dot in those */
  private readonly heads = new Set<string>();

  constructor(source: string) {
    this.source = source;
    for (const name of definedNames(source)) {
      if (!name.includes(".")) continue;
      this.dotted.add(name);
      this.heads.add(name.slice(0, name.indexOf(".")));
    }
  }

  protected character(inClass: boolean): number {
    const unit = this.source.charCodeAt(this.at);
    if (unit !== BACKSLASH && unit < FIRST_SURROGATE) {
      this.at++;
      return unit;
    }
    const character = characterAt(this.source, this.at, inClass);
    if (typeof character === "string") throw this.error(character);
    this.at += character.length;
    return character.code;
  }

  protected number(): number | null {
    this.space();
    const digits = this.match(NUMBER);
    this.space();
    return digits === "" ? null : Number(digits);
  }

  /** Whether `name ::=` begins here. */
  protected atRule(): boolean {
    const { at } = this;
    if (this.name() === null) return false;
    this.space();
    const found = this.source.startsWith("::=", this.at);
    this.at = at;
    return found;
  }

  protected name(): string | null {
    const { at } = this;
    if (!isNameUnit(this.source.charCodeAt(at))) return null;
    const name = this.match(NAME);
    if (!this.heads.has(name)) return name;
    const end = this.at;
    this.at = at;
    const dotted = this.match(DOTTED_NAME);
    if (this.dotted.has(dotted)) return dotted;
    this.at = end;
    return name;
  }

  protected space(): void {
    const unit = this.source.charCodeAt(this.at);
    if (unit <= 0x20 || unit === HASH) this.match(SPACE);
  }

  protected take(text: string): boolean {
    const found = this.source.startsWith(text, this.at);
    if (found) this.at += text.length;
    return found;
  }

  protected match(pattern: RegExp): string {
    const { at } = this;
    pattern.lastIndex = at;
    if (pattern.test(this.source)) this.at = pattern.lastIndex;
    return this.source.slice(at, this.at);
  }

  /** Whether there is nothing before a place in its line. */
  protected beginsLine(place: number): boolean {
    let at = place - 1;
    while (this.source[at] === " " || this.source[at] === "\t") at--;
    return at < 0 || this.source[at] === "\n" || this.source[at] === "\r";
  }

  protected atLineEnd(): boolean {
    const unit = this.source[this.at];
    return unit === undefined || unit === "\n" || unit === "\r";
  }

  protected unexpected(): Error {
    const unit = String.fromCodePoint(this.source.codePointAt(this.at)!);
    return this.error(`${JSON.stringify(unit)} is not expected here`);
  }

  protected error(what: string, at = this.at): Error {
    const line = this.source.slice(0, at).split(/\r\n|\r|\n/).length;
    return ebnfError(what, line);
  }
}

/** [A-Za-z0-9_-], without asking a regular expression: this is asked at every part. */
function isNameUnit(unit: number): boolean {
  const letter = unit | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) || (unit >= 0x30 && unit <= 0x39) || unit === 0x5f || unit === 0x2d
  );
}

/** What stands before each ::=, in comments and strings too. */
function* definedNames(source: string): Iterable<string> {
  for (let end = source.indexOf("::="); end >= 0; end = source.indexOf("::=", end + 3)) {
    let to = end;
    while (source[to - 1] === " " || source[to - 1] === "\t") to--;
    let from = to;
    while (from > 0 && /[A-Za-z0-9_.-]/.test(source[from - 1]!)) from--;
    yield source.slice(from, to);
  }
}
