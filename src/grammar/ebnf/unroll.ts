import { circles, isCircle, referred } from "./circles.ts";
import { choice, EMPTY, type Node, type Rules, repeat, sequence } from "./syntax.ts";

/** Circles that only repeat, such as `spaces ::= " " spaces | ""`, written as repeats: those need no parser. */

/** Each rule that is put into the others makes them a few times longer. */
const MOST_RULES = 5;

/** What a rule may be: for each rule of the circle, what stands between it and the rule's edge; and what has none. */
interface Linear {
  readonly terms: Map<number, Node>;
  readonly rest: Node | null;
}

export interface Unrolled extends Rules {
  /** rules that are in a circle still */
  readonly recursive: ReadonlySet<number>;
}

/** The same texts, with fewer circles. */
export function unrolled({ bodies, root }: Rules): Unrolled {
  const solved = [...bodies];
  const recursive = new Set<number>();
  for (const group of circles(bodies, root)) {
    if (!isCircle(bodies, group)) continue;
    const solution =
      group.length > MOST_RULES ? null : (solve(bodies, group, "right") ?? solve(bodies, group, "left"));
    if (solution === null) for (const rule of group) recursive.add(rule);
    else for (const [rule, body] of solution) solved[rule] = body;
  }
  return { bodies: solved, root, recursive };
}

type Side = "left" | "right";

/**
 * Rules that refer to each other at one edge only are regular: X = A X | B has the texts A* B (Arden, 1961), one rule
 * after the other, each put into those that come later.
 * @returns the rules' new bodies, which refer to rules of later ones only; null where there is another reference
 */
function solve(bodies: readonly Node[], group: readonly number[], side: Side): Map<number, Node> | null {
  const circle = new Set(group);
  const equations = new Map<number, Linear>();
  for (const rule of group) {
    const equation = linear(bodies[rule]!, circle, side);
    if (equation === null) return null;
    equations.set(rule, equation);
  }
  const solution = new Map<number, Node>();
  for (const [at, rule] of group.entries()) {
    const equation = withoutItself(equations.get(rule)!, rule, side);
    for (const later of group.slice(at + 1)) {
      equations.set(later, substituted(equations.get(later)!, rule, equation, side));
    }
    const options = [...equation.terms].map(([to, by]) => joined(by, { kind: "rule", rule: to }, side));
    if (equation.rest !== null) options.push(equation.rest);
    solution.set(rule, choice(options));
  }
  return solution;
}

function withoutItself({ terms, rest }: Linear, rule: number, side: Side): Linear {
  const loop = terms.get(rule);
  if (loop === undefined) return { terms, rest };
  const others = new Map(terms);
  others.delete(rule);
  const before = repeat(loop, 0, Number.POSITIVE_INFINITY);
  const by = (node: Node) => joined(before, node, side);
  return { terms: new Map([...others].map(([to, node]) => [to, by(node)])), rest: rest && by(rest) };
}

function substituted(into: Linear, rule: number, equation: Linear, side: Side): Linear {
  const by = into.terms.get(rule);
  if (by === undefined) return into;
  const kept = new Map(into.terms);
  kept.delete(rule);
  const moved = new Map([...equation.terms].map(([to, node]) => [to, joined(by, node, side)]));
  return sum(
    { terms: kept, rest: into.rest },
    { terms: moved, rest: equation.rest && joined(by, equation.rest, side) },
  );
}

/** @returns null where a rule of the circle stands elsewhere than at the edge */
function linear(node: Node, circle: ReadonlySet<number>, side: Side): Linear | null {
  const terms = new Map<number, Node[]>();
  const rest: Node[] = [];
  const collect = (at: Node, inner: Node): boolean => {
    if (!refersTo(at, circle)) {
      rest.push(joined(inner, at, side));
      return true;
    }
    switch (at.kind) {
      case "rule":
        terms.set(at.rule, [...(terms.get(at.rule) ?? []), inner]);
        return true;
      case "choice":
        return at.options.every((option) => collect(option, inner));
      case "sequence": {
        const edge = side === "right" ? at.parts.length - 1 : 0;
        const others = at.parts.filter((_, part) => part !== edge);
        if (others.some((part) => refersTo(part, circle))) return false;
        return collect(at.parts[edge]!, joined(inner, sequence(others), side));
      }
      case "repeat":
        if (at.to !== 1) return false;
        rest.push(inner);
        return collect(at.of, inner);
      default:
        return false;
    }
  };
  if (!collect(node, EMPTY)) return null;
  const byRule = [...terms].map(([to, options]): [number, Node] => [to, choice(options)]);
  return { terms: new Map(byRule), rest: rest.length === 0 ? null : choice(rest) };
}

function refersTo(node: Node, circle: ReadonlySet<number>): boolean {
  for (const rule of referred(node)) if (circle.has(rule)) return true;
  return false;
}

function sum(a: Linear, b: Linear): Linear {
  const terms = new Map(a.terms);
  for (const [to, node] of b.terms) terms.set(to, terms.has(to) ? choice([terms.get(to)!, node]) : node);
  if (a.rest === null || b.rest === null) return { terms, rest: a.rest ?? b.rest };
  return { terms, rest: choice([a.rest, b.rest]) };
}

/** What stands away from the edge, and then what stands at it. */
function joined(inner: Node, edge: Node, side: Side): Node {
  if (inner === EMPTY) return edge;
  if (edge === EMPTY) return inner;
  return sequence(side === "right" ? [inner, edge] : [edge, inner]);
}
