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

/** A member of an object: its value is text[from, to), to: null while it goes on. */
export interface Member {
  readonly key: string;
  readonly from: number;
  to: number | null;
}

/** Finds the members of one object. */
export class ObjectScanner {
  readonly members: Member[] = [];
  text = "";
  /** behind the closing brace; null while the object goes on */
  end: number | null = null;
  /** it is no object */
  bad = false;
  private at = 0;
  private state: "brace" | "key" | "colon" | "value" | "in" | "comma" = "brace";
  private scanner = new ValueScanner();
  private keyFrom = 0;

  push(text: string): void {
    this.text += text;
    while (!this.bad && this.end === null && this.at < this.text.length) if (!this.step()) return;
  }

  /** What would close the value that is open, and the object; null where that cannot be told. */
  missing(): string | null {
    return this.state === "in" ? this.scanner.missing() : null;
  }

  /** @returns false where more text is needed */
  private step(): boolean {
    if (this.state === "in") return this.value();
    const unit = this.text[this.at]!;
    if (/\s/.test(unit)) {
      this.at++;
      return true;
    }
    switch (this.state) {
      case "brace":
        return this.take(unit === "{", "key");
      case "key":
        if (unit === "}") return this.close();
        return this.key(unit);
      case "colon":
        return this.take(unit === ":", "value");
      case "value":
        this.scanner = new ValueScanner();
        this.members.push({
          key: String(JSON.parse(this.text.slice(this.keyFrom, this.keyTo))),
          ...{ from: this.at, to: null },
        });
        this.state = "in";
        return true;
      default:
        if (unit === "}") return this.close();
        return this.take(unit === ",", "key");
    }
  }

  private keyTo = 0;

  private key(unit: string): boolean {
    if (unit !== '"') {
      this.bad = true;
      return false;
    }
    const to = new ValueScanner().push(this.text, this.at);
    if (to < 0) return false;
    this.keyFrom = this.at;
    this.keyTo = to;
    try {
      JSON.parse(this.text.slice(this.at, to));
    } catch {
      this.bad = true;
    }
    this.at = to;
    this.state = "colon";
    return !this.bad;
  }

  private value(): boolean {
    const to = this.scanner.push(this.text, this.at);
    if (to < 0) {
      this.at = this.text.length;
      return false;
    }
    this.members.at(-1)!.to = to;
    this.at = to;
    this.state = "comma";
    return true;
  }

  private take(right: boolean, next: "key" | "value"): boolean {
    this.bad = !right;
    this.at++;
    this.state = next;
    return right;
  }

  private close(): boolean {
    this.at++;
    this.end = this.at;
    return false;
  }
}
