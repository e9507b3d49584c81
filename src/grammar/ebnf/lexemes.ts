import { circles, referred } from "./circles.ts";
import { hasEmpty } from "./prune.ts";
import { choice, type Node, sequence } from "./syntax.ts";
import type { Unrolled } from "./unroll.ts";

/**
 * A grammar over lexemes. llguidance reads a text as a lexer does: of the lexemes that may come it takes the longest, and
 * never thinks again. So which parts of the grammar are lexemes is a question of what it means; see conflicts.ts.
 */
export type Item =
  | Lexeme
  | { readonly kind: "reference"; readonly rule: number }
  | { readonly kind: "items"; readonly items: readonly Item[] }
  | { readonly kind: "either"; readonly options: readonly Item[] }
  | { readonly kind: "times"; readonly of: Item; readonly from: number; readonly to: number };

/** A part without circles, in one place of the grammar. */
export interface Lexeme {
  readonly kind: "lexeme";
  readonly node: Node;
  /** whether it may be absent: a lexeme itself is never empty */
  readonly optional: boolean;
}

export interface LexemeRules {
  readonly bodies: ReadonlyMap<number, Item>;
  readonly root: number;
}

/** What has been taken apart so far: at first, nothing but circles. */
export class Parts {
  readonly rules: Unrolled;
  readonly empty: ReadonlySet<number>;
  private readonly openRules: Set<number>;
  /** rules, each after those that it refers to outside of its circle */
  private readonly order: readonly number[];
  private readonly open = new Set<Node>();
  private readonly alone = new Set<Node>();
  /** every lexeme is one character */
  private characters = false;
  private readonly regular = new Map<Node, boolean>();

  constructor(rules: Unrolled, empty: ReadonlySet<number>) {
    this.rules = rules;
    this.empty = empty;
    this.openRules = new Set(rules.recursive);
    this.order = circles(rules.bodies, rules.root).flat();
    this.openUsers();
  }

  /** Whether the whole grammar is one lexeme. */
  get whole(): boolean {
    return this.rules.recursive.size === 0;
  }

  /** Takes a lexeme of more than one character apart: what that gives is nearer to characters. */
  split({ node }: Lexeme): void {
    switch (node.kind) {
      case "rule":
        this.openRules.add(node.rule);
        this.openUsers();
        break;
      case "sequence":
        this.alone.add(node.parts[node.parts.length - 1]!);
        break;
      case "choice":
        for (const option of node.options) this.alone.add(option);
        break;
      default:
        break;
    }
    this.open.add(node);
    this.regular.clear();
  }

  /** Takes everything apart. */
  splitAll(): void {
    this.characters = true;
    this.regular.clear();
  }

  /** The grammar over the lexemes that there are now: rules that it needs. */
  lexemes(): LexemeRules {
    const { bodies, root } = this.rules;
    const found = new Map<number, Item>();
    const needed = [root];
    for (let rule = needed.pop(); rule !== undefined; rule = needed.pop()) {
      if (found.has(rule)) continue;
      found.set(rule, this.item(bodies[rule]!, needed));
    }
    return { bodies: found, root };
  }

  private item(node: Node, needed: number[]): Item {
    if (this.isRegular(node)) return this.lexeme(node);
    switch (node.kind) {
      case "rule":
        needed.push(node.rule);
        return { kind: "reference", rule: node.rule };
      case "text":
        return {
          kind: "items",
          items: node.codes.map((code) => this.lexeme({ kind: "text", codes: [code] })),
        };
      case "sequence":
        return { kind: "items", items: this.grouped(node.parts, needed) };
      case "choice": {
        const joins = (option: Node) => this.isRegular(option) && !this.alone.has(option);
        const regular = node.options.filter(joins);
        const others = node.options.filter((option) => !joins(option));
        const items = others.map((option) => this.item(option, needed));
        if (regular.length > 0) items.push(this.lexeme(choice(regular)));
        return { kind: "either", options: items };
      }
      case "repeat":
        return { kind: "times", of: this.item(node.of, needed), from: node.from, to: node.to };
      default:
        return this.lexeme(node);
    }
  }

  /** Neighbours that are regular come into one lexeme. */
  private grouped(parts: readonly Node[], needed: number[]): Item[] {
    const items: Item[] = [];
    let group: Node[] = [];
    const close = () => {
      if (group.length > 0) items.push(this.lexeme(sequence(group)));
      group = [];
    };
    for (const part of parts) {
      const regular = this.isRegular(part);
      if (!regular || this.alone.has(part)) close();
      if (!regular) items.push(this.item(part, needed));
      else group.push(part);
      if (this.alone.has(part)) close();
    }
    close();
    return items;
  }

  private lexeme(node: Node): Lexeme {
    return { kind: "lexeme", node, optional: hasEmpty(node, this.empty) };
  }

  /** Whether a node can be within a lexeme: nothing in it has been taken apart. */
  private isRegular(node: Node): boolean {
    const known = this.regular.get(node);
    if (known !== undefined) return known;
    const regular = this.checkRegular(node);
    this.regular.set(node, regular);
    return regular;
  }

  private checkRegular(node: Node): boolean {
    if (this.open.has(node)) return false;
    switch (node.kind) {
      case "rule":
        return !this.characters && !this.openRules.has(node.rule);
      case "text":
        return !this.characters || node.codes.length === 1;
      case "class":
        return true;
      case "sequence":
        return !this.characters && node.parts.every((part) => this.isRegular(part));
      case "choice":
        return !this.characters && node.options.every((option) => this.isRegular(option));
      case "repeat":
        return !this.characters && this.isRegular(node.of);
    }
  }

  /** A rule that refers to one that has been taken apart is taken apart too. */
  private openUsers(): void {
    for (const rule of this.order) {
      for (const used of referred(this.rules.bodies[rule]!)) {
        if (this.openRules.has(used)) this.openRules.add(rule);
      }
    }
  }
}
