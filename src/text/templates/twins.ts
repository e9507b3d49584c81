/**
 * Texts that others wrote, marked so that the marks survive whatever a template does with them: each character that a
 * control token could be made of has a twin, a private character that no text of the conversation has. Where a template
 * compares or searches, it sees the plain characters; what it writes has the twins, so that it can be told apart from
 * what the template wrote itself.
 */
export class Twins {
  /** with no characters: nothing is marked */
  static readonly NONE = new Twins("", 0);
  private readonly pattern: RegExp | null;
  /** by unit: the other one; 0: none */
  private readonly plainOf: Uint16Array;
  private readonly twinOf: Uint16Array;
  private last = { text: "", plain: "" };

  /** @param characters one UTF-16 unit each, without repetition @param base unit of the first one's twin */
  constructor(characters: string, base: number) {
    const size = characters === "" ? 0 : 0x10000;
    this.plainOf = new Uint16Array(size);
    this.twinOf = new Uint16Array(size);
    for (let i = 0; i < characters.length; i++) {
      this.plainOf[base + i] = characters.charCodeAt(i);
      this.twinOf[characters.charCodeAt(i)] = base + i;
    }
    const range = (unit: number) => `\\u${unit.toString(16).padStart(4, "0")}`;
    const last = base + characters.length - 1;
    this.pattern = characters === "" ? null : new RegExp(`[${range(base)}-${range(last)}]`);
  }

  /** The text as it was. */
  plain(text: string): string {
    if (!this.marks(text)) return text;
    if (text === this.last.text) return this.last.plain;
    const plain = converted(text, this.plainOf);
    // Templates ask about one long text several times.
    if (text.length >= LONG) this.last = { text, plain };
    return plain;
  }

  /** The text with twins for all characters that have one. */
  twinned(text: string): string {
    return this.pattern === null ? text : converted(text, this.twinOf);
  }

  private marks(text: string): boolean {
    return this.pattern?.test(text) ?? false;
  }

  isTwin(text: string, index: number): boolean {
    return (this.plainOf[text.charCodeAt(index)] ?? 0) !== 0;
  }

  /** Applies a change of letters, and keeps what is a twin one. @param change may make a character longer */
  mapped(text: string, change: (plain: string) => string): string {
    if (!this.marks(text)) return change(text);
    const changed = change(this.plain(text));
    // What changes its length is marked as a whole.
    if (changed.length !== text.length) return this.twinned(changed);
    let out = "";
    for (let i = 0; i < text.length; i++)
      out += this.isTwin(text, i) ? this.twinned(changed[i]!) : changed[i]!;
    return out;
  }
}

const LONG = 1000;

/** Units that become text at once. */
const CHUNK = 8192;

/** @param table by unit, what takes its place; 0: nothing does */
function converted(text: string, table: Uint16Array): string {
  let out = "";
  for (let from = 0; from < text.length; from += CHUNK) {
    const units = new Uint16Array(Math.min(CHUNK, text.length - from));
    for (let i = 0; i < units.length; i++) {
      const unit = text.charCodeAt(from + i);
      units[i] = table[unit]! || unit;
    }
    out += String.fromCharCode(...units);
  }
  return out;
}
