import { assert } from "../../util/assert.ts";
import { hasEmpty } from "./prune.ts";
import { choice, type Node, repeat, sequence } from "./syntax.ts";

/** Nodes without their empty texts, since no lexeme is empty. */
export class WithoutEmpty {
  private readonly bodies: readonly Node[];
  private readonly empty: ReadonlySet<number>;
  private readonly done = new Map<Node, Node | null>();

  constructor(bodies: readonly Node[], empty: ReadonlySet<number>) {
    this.bodies = bodies;
    this.empty = empty;
  }

  /** The body of a rule that `of` refers to: -1 - n is rule n without the empty text. */
  body(rule: number): Node {
    if (rule >= 0) return this.bodies[rule]!;
    const body = this.of(this.bodies[-1 - rule]!);
    assert(body !== null, "a rule with the empty text only was kept");
    return body;
  }

  /** @returns null where the node has the empty text only */
  of(node: Node): Node | null {
    let found = this.done.get(node);
    if (found === undefined) {
      found = this.make(node);
      this.done.set(node, found);
    }
    return found;
  }

  private make(node: Node): Node | null {
    if (!hasEmpty(node, this.empty)) return node;
    switch (node.kind) {
      case "rule":
        return { kind: "rule", rule: -1 - node.rule };
      case "sequence":
        return this.sequence(node.parts);
      case "choice": {
        const options = node.options.map((option) => this.of(option)).filter((option) => option !== null);
        return options.length === 0 ? null : choice(options);
      }
      case "repeat": {
        const of = this.of(node.of);
        return of && repeat(of, Math.max(1, of === node.of ? node.from : 1), node.to);
      }
      default:
        return node;
    }
  }

  /** All parts may be empty: the left half is not, or it is and the right half is not. In halves, so not deep. */
  private sequence(parts: readonly Node[]): Node | null {
    if (parts.length === 0) return null;
    if (parts.length === 1) return this.of(parts[0]!);
    const middle = parts.length >>> 1;
    const left = this.sequence(parts.slice(0, middle));
    const right = this.sequence(parts.slice(middle));
    const both = left && sequence([left, ...parts.slice(middle)]);
    return both && right ? choice([both, right]) : (both ?? right);
  }
}
