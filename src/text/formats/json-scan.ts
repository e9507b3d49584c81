import { parsedJson } from "../../util/json.ts";

/** JSON as it comes, letter by letter: where a value ends, and where the members of an object are. */

/** Follows brackets and strings of one value. It takes what is no JSON as well: a model's mistakes are its own. */
export class ValueScanner {
  /** brackets that are open, the outermost first, as what closes them */
  private readonly closers: string[] = [];
  private quoted = false;
  private escaped = false;
  private begun = false;

  /**
   * @param from where the value begins, or goes on
   * @returns behind the end of the value; -1: all of the text belongs to it
   */
  push(text: string, from: number): number {
    for (let at = from; at < text.length; at++) {
      const unit = text[at]!;
      if (this.quoted) {
        if (this.escaped) this.escaped = false;
        else if (unit === "\\") this.escaped = true;
        else if (unit === '"') {
          this.quoted = false;
          if (this.closers.length === 0) return at + 1;
        }
        continue;
      }
      if (this.closers.length === 0 && this.begun && /[\s,\]}]/.test(unit)) return at;
      this.begun = true;
      if (unit === '"') this.quoted = true;
      else if (unit === "{") this.closers.push("}");
      else if (unit === "[") this.closers.push("]");
      else if (
        (unit === "}" || unit === "]") &&
        this.closers.pop() !== undefined &&
        this.closers.length === 0
      )
        return at + 1;
    }
    return -1;
  }

  /** What would close the value where it is; null within a string. */
  missing(): string | null {
    return this.quoted ? null : [...this.closers].reverse().join("");
  }
}

/** A member of an object, as its value comes. */
export class Member {
  readonly key: string;
  /** the value is all there */
  whole = false;
  /** what the value begins with */
  readonly begins: string;
  private text = "";
  private untold = "";
  private parsed: { readonly value: unknown } | null = null;

  constructor(key: string, begins: string) {
    this.key = key;
    this.begins = begins;
  }

  push(text: string): void {
    this.text += text;
    this.untold += text;
  }

  /** What came of the value since the last time. */
  take(): string {
    const { untold } = this;
    this.untold = "";
    return untold;
  }

  /** null: it is not whole, or no JSON */
  value(): unknown {
    if (!this.whole) return null;
    this.parsed ??= { value: parsedJson(this.text) ?? null };
    return this.parsed.value;
  }
}

/** Finds members of one object. Each unit of it is read once, however it comes. */
export class ObjectScanner {
  /** the first of all, and the first of each key that is kept */
  readonly members: Member[] = [];
  /** all that was pushed */
  text = "";
  /** what was pushed behind the closing brace; null while the object goes on */
  rest: string | null = null;
  /** it is no object */
  bad = false;
  private readonly keeps: (key: string) => boolean;
  private piece = "";
  private at = 0;
  private state: "brace" | "key" | "in key" | "colon" | "value" | "in" | "comma" = "brace";
  private scanner = new ValueScanner();
  private key = "";
  /** null: of a member that is not kept */
  private member: Member | null = null;

  constructor(keeps: (key: string) => boolean) {
    this.keeps = keeps;
  }

  push(text: string): void {
    this.text += text;
    this.piece = text;
    this.at = 0;
    while (!this.bad && this.rest === null && this.at < text.length) this.step();
  }

  /** What would close the value that is open, and the object; null where that cannot be told. */
  missing(): string | null {
    return this.state === "in" ? this.scanner.missing() : null;
  }

  private step(): void {
    const unit = this.piece[this.at]!;
    if (this.state === "in") this.value();
    else if (this.state === "in key") this.inKey();
    else if (/\s/.test(unit)) this.at++;
    else this.mark(unit);
  }

  /** Between keys and values. */
  private mark(unit: string): void {
    if (this.state === "brace") this.take(unit === "{", "key");
    else if (this.state === "colon") this.take(unit === ":", "value");
    else if (this.state === "value") this.begin(unit);
    else if (unit === "}") this.close();
    else if (this.state === "comma") this.take(unit === ",", "key");
    else {
      this.bad = unit !== '"';
      this.key = "";
      this.scanner = new ValueScanner();
      this.state = "in key";
    }
  }

  private inKey(): void {
    const to = this.scanned((text) => {
      this.key += text;
    });
    if (!to) return;
    const key = parsedJson(this.key);
    this.bad = typeof key !== "string";
    this.key = String(key);
    this.state = "colon";
  }

  private begin(unit: string): void {
    const { members, key } = this;
    const isKept = members.length === 0 || (this.keeps(key) && !members.some((member) => member.key === key));
    this.member = isKept ? new Member(key, unit) : null;
    if (this.member) members.push(this.member);
    this.scanner = new ValueScanner();
    this.state = "in";
  }

  private value(): void {
    const { member } = this;
    if (!this.scanned((text) => member?.push(text))) return;
    if (member) member.whole = true;
    this.state = "comma";
  }

  /** Reads on in a value, or a key. @returns whether it ended */
  private scanned(tell: (text: string) => void): boolean {
    const to = this.scanner.push(this.piece, this.at);
    const end = to < 0 ? this.piece.length : to;
    tell(this.piece.slice(this.at, end));
    this.at = end;
    return to >= 0;
  }

  private take(right: boolean, next: "key" | "value"): void {
    this.bad = !right;
    this.at++;
    this.state = next;
  }

  private close(): void {
    this.at++;
    this.rest = this.piece.slice(this.at);
  }
}
