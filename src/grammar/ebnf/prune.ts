import { circles } from "./circles.ts";
import { choice, EMPTY, ebnfError, type Node, type Rules, repeat, sequence } from "./syntax.ts";

/**
 * A grammar without what never comes to an end: of `value ::= "a" value | "b" other` and `other ::= "c" other` the
 * second alternative is in no text, and a mask must not lead into it.
 * @throws SettingError `grammar` where that leaves nothing
 */
export function pruned({ bodies, root }: Rules): Rules {
  const ends = smallest({ bodies, root }, canEnd);
  if (!ends.has(root)) {
    throw ebnfError(
      "root has no text that ends: every alternative needs another of the same; add one that does not",
    );
  }
  const ending = { bodies: bodies.map((body) => prune(body, ends) ?? EMPTY), root };
  const full = smallest(ending, hasText);
  return { bodies: ending.bodies.map((body) => withoutHollow(body, full)), root };
}

/** The rules that root needs and that have the empty text. */
export function emptyRules(rules: Rules): Set<number> {
  return smallest(rules, hasEmpty);
}

/** Whether a node has the empty text. */
export function hasEmpty(node: Node, empty: ReadonlySet<number>): boolean {
  switch (node.kind) {
    case "rule":
      return empty.has(node.rule);
    case "sequence":
      return node.parts.every((part) => hasEmpty(part, empty));
    case "choice":
      return node.options.some((option) => hasEmpty(option, empty));
    case "repeat":
      return node.from === 0 || hasEmpty(node.of, empty);
    default:
      return false;
  }
}

/** The rules that something holds for, where it holds for a rule for no other reason than that it does for others. */
function smallest(
  { bodies, root }: Rules,
  holds: (node: Node, rules: ReadonlySet<number>) => boolean,
): Set<number> {
  const found = new Set<number>();
  for (const group of circles(bodies, root)) {
    let before: number;
    do {
      before = found.size;
      for (const rule of group) if (!found.has(rule) && holds(bodies[rule]!, found)) found.add(rule);
    } while (found.size !== before);
  }
  return found;
}

function canEnd(node: Node, ends: ReadonlySet<number>): boolean {
  switch (node.kind) {
    case "rule":
      return ends.has(node.rule);
    case "sequence":
      return node.parts.every((part) => canEnd(part, ends));
    case "choice":
      return node.options.some((option) => canEnd(option, ends));
    case "repeat":
      return node.from === 0 || canEnd(node.of, ends);
    default:
      return true;
  }
}

/** @returns null where the node has no text */
function prune(node: Node, ends: ReadonlySet<number>): Node | null {
  switch (node.kind) {
    case "rule":
      return ends.has(node.rule) ? node : null;
    case "sequence": {
      const parts = node.parts.map((part) => prune(part, ends));
      return parts.includes(null) ? null : sequence(parts as Node[]);
    }
    case "choice": {
      const options = node.options.map((option) => prune(option, ends)).filter((option) => option !== null);
      return options.length === 0 ? null : choice(options);
    }
    case "repeat": {
      const of = prune(node.of, ends);
      if (of !== null) return repeat(of, node.from, node.to);
      return node.from === 0 ? EMPTY : null;
    }
    default:
      return node;
  }
}

/** Whether a node has another text than the empty one; each part has some text. */
function hasText(node: Node, full: ReadonlySet<number>): boolean {
  switch (node.kind) {
    case "rule":
      return full.has(node.rule);
    case "sequence":
      return node.parts.some((part) => hasText(part, full));
    case "choice":
      return node.options.some((option) => hasText(option, full));
    case "repeat":
      return hasText(node.of, full);
    default:
      return true;
  }
}

/** A node without rules that have the empty text only. */
function withoutHollow(node: Node, full: ReadonlySet<number>): Node {
  switch (node.kind) {
    case "rule":
      return full.has(node.rule) ? node : EMPTY;
    case "sequence": {
      const parts = node.parts.map((part) => withoutHollow(part, full)).filter((part) => part !== EMPTY);
      return parts.length === 0 ? EMPTY : sequence(parts);
    }
    case "choice":
      return choice(node.options.map((option) => withoutHollow(option, full)));
    case "repeat":
      return repeat(withoutHollow(node.of, full), node.from, node.to);
    default:
      return node;
  }
}
