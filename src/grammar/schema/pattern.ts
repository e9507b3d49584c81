import { assert } from "../../util/assert.ts";
import { setOf } from "./characters.ts";
import { PatternError } from "./error.ts";
import { type Branch, type Node, PatternParser } from "./pattern-parser.ts";

/**
 * ECMAScript's regular expressions (with the flag `u`) as llguidance takes them: one that has to fit the whole string,
 * of nothing but sets of characters, groups and repetitions, which both languages read alike.
 */

/** Ways that a pattern may be read after its anchors are brought to the outside. */
const MOST_BRANCHES = 256;
/** Repetitions within counted repetitions: each character may be in as many places, and 10^6 take 40 ms a token. */
const MOST_REPETITIONS = 10_000;

/** @throws PatternError */
export function libraryPattern(pattern: string): string {
  const parser = new PatternParser(pattern);
  const branches = parser.alternatives(0);
  if (!parser.done) throw new PatternError("it has a ) without (");
  if (Math.max(...branches.map((branch) => nestedCount(branch, 0))) > MOST_REPETITIONS) {
    throw new PatternError(`it repeats repetitions more than ${MOST_REPETITIONS} times`);
  }
  const whole = anchorsOutside(branches).map((branch) => {
    let from = 0;
    let to = branch.length;
    while (from < to && branch[from]!.kind === "start") from++;
    while (to > from && branch[to - 1]!.kind === "end") to--;
    const inner = branch.slice(from, to);
    if (inner.some(hasAnchor)) throw new PatternError("it has an anchor in the middle");
    return `${from > 0 ? "" : "(?s:.*)"}${textOf(inner)}${to < branch.length ? "" : "(?s:.*)"}`;
  });
  return `^(?:${whole.join("|")})$`;
}

/** Groups with anchors in them are taken apart: `(^a|b)c` is `^ac|bc`. */
function anchorsOutside(branches: readonly Branch[]): Branch[] {
  const done: Branch[] = [];
  const left = [...branches];
  while (left.length > 0) {
    const branch = left.shift()!;
    const at = branch.findIndex((node) => node.kind === "group" && hasAnchor(node));
    if (at < 0) done.push(branch);
    else {
      const group = branch[at]!;
      assert(group.kind === "group", "only groups are taken apart");
      left.unshift(
        ...group.branches.map((inner) => [...branch.slice(0, at), ...inner, ...branch.slice(at + 1)]),
      );
    }
    if (done.length + left.length > MOST_BRANCHES) throw new PatternError("it has too many anchors");
  }
  return done;
}

function hasAnchor(node: Node): boolean {
  switch (node.kind) {
    case "set":
      return false;
    case "group":
      return node.branches.some((branch) => branch.some(hasAnchor));
    case "repeat":
      return hasAnchor(node.of);
    default:
      return true;
  }
}

/** The largest product of bounds of repetitions in one another, 0 where there are no two. */
function nestedCount(branch: Branch, around: number): number {
  return Math.max(
    0,
    ...branch.map((node) => {
      if (node.kind === "group") return Math.max(...node.branches.map((inner) => nestedCount(inner, around)));
      if (node.kind !== "repeat") return 0;
      const counted = node.most === Infinity ? node.least : node.most;
      if (counted <= 1) return nestedCount([node.of], around);
      return Math.max(around * counted, nestedCount([node.of], Math.max(around, 1) * counted));
    }),
  );
}

function textOf(branch: Branch): string {
  return branch.map(nodeText).join("");
}

function nodeText(node: Node): string {
  switch (node.kind) {
    case "set":
      return setOf(node.set);
    case "group":
      return `(?:${node.branches.map(textOf).join("|")})`;
    case "repeat":
      return `(?:${nodeText(node.of)}){${node.least},${node.most === Infinity ? "" : node.most}}`;
    default:
      throw new PatternError("it has an anchor in the middle");
  }
}
