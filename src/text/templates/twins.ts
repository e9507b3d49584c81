/**
 * Texts that others wrote, marked so that the marks survive whatever a template does with them: each character that a
 * control token could be made of has a twin, a private character that no text of the conversation has. Where a template
 * compares or searches, it sees the plain characters; what it writes has the twins, so that it can be told apart from
 * what the template wrote itself.
 */
export class Twins {
  /** with no characters: nothing is marked */
  static readonly NONE = new Twins("", 0);
  private readonly characters: string;
  private readonly base: number;
  private readonly pattern: RegExp | null;
  private readonly twinOf: ReadonlyMap<string, string>;

  /** @param characters one UTF-16 unit each, without repetition @param base unit of the first one's twin */
  constructor(characters: string, base: number) {
    this.characters = characters;
    this.base = base;
    const range = (unit: number) => `\\u${unit.toString(16).padStart(4, "0")}`;
    const last = base + characters.length - 1;
    this.pattern = characters === "" ? null : new RegExp(`[${range(base)}-${range(last)}]`, "g");
    this.twinOf = new Map(
      [...characters].map((character, i) => [character, String.fromCharCode(base + i)] as const),
    );
  }

  /** The text as it was. */
  plain(text: string): string {
    if (this.pattern === null) return text;
    return text.replace(this.pattern, (twin) => this.characters[twin.charCodeAt(0) - this.base]!);
  }

  /** The text with twins for all characters that have one. */
  twinned(text: string): string {
    if (this.pattern === null) return text;
    let out = "";
    for (let i = 0; i < text.length; i++) out += this.twinOf.get(text[i]!) ?? text[i]!;
    return out;
  }

  isTwin(text: string, index: number): boolean {
    const place = text.charCodeAt(index) - this.base;
    return place >= 0 && place < this.characters.length;
  }

  /** Applies a change of letters, and keeps what is a twin one. @param change may make a character longer */
  mapped(text: string, change: (plain: string) => string): string {
    if (this.pattern === null || this.plain(text) === text) return change(text);
    const changed = change(this.plain(text));
    // What changes its length is marked as a whole.
    if (changed.length !== text.length) return this.twinned(changed);
    let out = "";
    for (let i = 0; i < text.length; i++)
      out += this.isTwin(text, i) ? (this.twinOf.get(changed[i]!) ?? changed[i]!) : changed[i]!;
    return out;
  }
}
