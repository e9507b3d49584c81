import { children, type Node } from "./syntax.ts";

/** Which rules refer to each other in circles. */

/** The rules that a node refers to, in order. */
export function* referred(node: Node): Iterable<number> {
  if (node.kind === "rule") yield node.rule;
  for (const child of children(node)) yield* referred(child);
}

/**
 * Strongly connected components of the rules that `root` needs: Tarjan, 1972, without recursion.
 * @returns groups of rules; a rule's group comes after all groups that it refers to
 */
export function circles(bodies: readonly Node[], root: number): number[][] {
  const index = new Map<number, number>();
  const low = new Map<number, number>();
  const stack: number[] = [];
  const open = new Set<number>();
  const groups: number[][] = [];
  const path: { readonly rule: number; readonly next: Iterator<number> }[] = [];
  const enter = (rule: number) => {
    index.set(rule, index.size);
    low.set(rule, index.get(rule)!);
    stack.push(rule);
    open.add(rule);
    path.push({ rule, next: new Set(referred(bodies[rule]!)).values() });
  };
  enter(root);
  while (path.length > 0) {
    const { rule, next } = path[path.length - 1]!;
    const { done, value } = next.next();
    if (!done) {
      if (!index.has(value)) enter(value);
      else if (open.has(value)) low.set(rule, Math.min(low.get(rule)!, index.get(value)!));
      continue;
    }
    path.pop();
    const parent = path[path.length - 1]?.rule;
    if (parent !== undefined) low.set(parent, Math.min(low.get(parent)!, low.get(rule)!));
    if (low.get(rule) !== index.get(rule)) continue;
    const group: number[] = [];
    do {
      const member = stack.pop()!;
      open.delete(member);
      group.push(member);
    } while (group[group.length - 1] !== rule);
    groups.push(group);
  }
  return groups;
}

/** Whether a group goes in a circle: more than one rule, or one that refers to itself. */
export function isCircle(bodies: readonly Node[], group: readonly number[]): boolean {
  return group.length > 1 || [...referred(bodies[group[0]!]!)].includes(group[0]!);
}
