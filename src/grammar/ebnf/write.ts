import type { CharSet } from "./chars.ts";
import type { WithoutEmpty } from "./empty.ts";
import type { Item, LexemeRules } from "./lexemes.ts";
import { EMPTY, type Node } from "./syntax.ts";

/** Writes a grammar over lexemes in llguidance's Lark: rules r1, r2, ... and terminals T1, T2, ... */
export function writeLark(rules: LexemeRules, without: WithoutEmpty): string {
  return new Writer(rules, without).write();
}

class Writer {
  private readonly rules: LexemeRules;
  private readonly without: WithoutEmpty;
  private readonly lines: string[] = [];
  private readonly ruleNames = new Map<number, string>();
  /** terminals of nodes and of rules that are within lexemes; each is written once */
  private readonly terminals = new Map<Node | number, string>();
  private readonly pending: { readonly name: string; readonly node: Node }[] = [];
  private count = 0;

  constructor(rules: LexemeRules, without: WithoutEmpty) {
    this.rules = rules;
    this.without = without;
  }

  write(): string {
    const { bodies, root } = this.rules;
    for (const rule of bodies.keys()) this.ruleNames.set(rule, rule === root ? "start" : this.fresh("r"));
    for (const [rule, body] of bodies) this.lines.push(`${this.ruleNames.get(rule)}: ${this.item(body)}`);
    for (let next = this.pending.pop(); next !== undefined; next = this.pending.pop()) {
      this.lines.push(`${next.name}: ${this.node(next.node)}`);
    }
    return `${this.lines.join("\n")}\n`;
  }

  private fresh(prefix: string): string {
    return `${prefix}${++this.count}`;
  }

  /** The right side of a rule. */
  private item(item: Item): string {
    switch (item.kind) {
      case "either":
        return item.options.map((option) => this.itemSequence(option)).join(" | ");
      default:
        return this.itemSequence(item);
    }
  }

  private itemSequence(item: Item): string {
    if (item.kind !== "items") return this.itemAtom(item);
    return item.items.map((one) => this.itemAtom(one)).join(" ") || '""';
  }

  private itemAtom(item: Item): string {
    switch (item.kind) {
      case "reference":
        return this.ruleNames.get(item.rule)!;
      case "lexeme": {
        const node = this.without.of(item.node);
        if (node === null) return '""';
        return `${this.whole(node)}${item.optional ? "?" : ""}`;
      }
      case "times": {
        const of = this.itemAtom(item.of);
        return `${/[?*+}]$/.test(of) ? this.rule(of) : of}${times(item.from, item.to)}`;
      }
      default:
        return this.rule(this.item(item));
    }
  }

  /** A node as one lexeme: in a rule, an operator would make several of it. */
  private whole(node: Node): string {
    return node.kind === "repeat" ? this.terminal(node, () => node) : this.atom(node);
  }

  /** Lark's parentheses may not go deep, so what is in them becomes a rule. */
  private rule(body: string): string {
    const name = this.fresh("r");
    this.lines.push(`${name}: ${body}`);
    return name;
  }

  /** The right side of a terminal. */
  private node(node: Node): string {
    return node.kind === "choice"
      ? node.options.map((option) => this.nodeSequence(option)).join(" | ")
      : this.nodeSequence(node);
  }

  private nodeSequence(node: Node): string {
    if (node === EMPTY) return '""';
    return node.kind === "sequence"
      ? node.parts.map((part) => this.atom(part)).join(" ") || '""'
      : this.atom(node);
  }

  private atom(node: Node): string {
    switch (node.kind) {
      case "text":
        return quoted(node.codes.map((code) => String.fromCodePoint(code)).join(""));
      case "class":
        return classOf(node.set);
      case "rule":
        return this.terminal(node.rule, () => this.without.body(node.rule));
      case "repeat": {
        const of = node.of.kind === "repeat" ? this.terminal(node.of, () => node.of) : this.atom(node.of);
        return `${of}${times(node.from, node.to)}`;
      }
      default:
        return node.kind === "sequence" && node.parts.length === 0 ? '""' : this.terminal(node, () => node);
    }
  }

  private terminal(key: Node | number, make: () => Node): string {
    let name = this.terminals.get(key);
    if (name === undefined) {
      name = this.fresh("T");
      this.terminals.set(key, name);
      this.pending.push({ name, node: make() });
    }
    return name;
  }
}

function times(from: number, to: number): string {
  if (to === Number.POSITIVE_INFINITY) return from === 0 ? "*" : from === 1 ? "+" : `{${from},}`;
  if (from === 0 && to === 1) return "?";
  return from === to ? `{${from}}` : `{${from},${to}}`;
}

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\u007f", "\\u007f");
}

function classOf(set: CharSet): string {
  if (set.length === 2 && set[0] === set[1]) return quoted(String.fromCodePoint(set[0]!));
  const ranges: string[] = [];
  for (let i = 0; i < set.length; i += 2) {
    ranges.push(set[i] === set[i + 1] ? hex(set[i]!) : `${hex(set[i]!)}-${hex(set[i + 1]!)}`);
  }
  return `/[${ranges.join("")}]/`;
}

function hex(code: number): string {
  return /[A-Za-z0-9]/.test(String.fromCodePoint(code))
    ? String.fromCodePoint(code)
    : `\\x{${code.toString(16)}}`;
}
