import { parsedJson } from "../../src/util/json.ts";
import { STORY_KINDS, STORY_NAMES, STORY_THINGS } from "./story.ts";
import type { Character, Check } from "./task.ts";

/** Whether an answer is right. Pure: functions are run elsewhere, in a process of their own. */

export interface Verdict {
  readonly right: boolean;
  /** what is wrong with it, or "" */
  readonly why: string;
}

const RIGHT: Verdict = { right: true, why: "" };
const wrong = (why: string): Verdict => ({ right: false, why });

/** "Answer: 42", also with marks of emphasis, a currency, or what is counted. */
const ANSWER_LINE = /^\W*answer\W*?(-?\d+)\b(?![.,]\d)(?! or )[^\d\n]*$/gim;

/** The number on the last line that says "Answer: N". */
export function checkNumber(answer: string, { value }: Extract<Check, { kind: "number" }>): Verdict {
  const said = [...answer.matchAll(ANSWER_LINE)].at(-1)?.[1];
  if (said === undefined) return wrong("there is no line with the answer");
  return Number(said) === value ? RIGHT : wrong(`it says ${said}, and it is ${value}`);
}

/** Code that an answer shows. */
export interface ShownFunction {
  readonly name: string;
  readonly code: string;
}

/**
 * The code that an answer shows: what is between fences, or all of it.
 * @param name of the function; null: the first one's, whatever it is
 * @returns null where there is no such function
 */
export function functionIn(answer: string, name: string | null): ShownFunction | null {
  const fenced = [...answer.matchAll(/```[^\n]*\n([\s\S]*?)```/g)].map(([, code]) => code!);
  const wanted = name ?? "[A-Za-z_$][\\w$]*";
  const named = new RegExp(`\\b(?:function (${wanted})\\s*[<(]|(?:const|let|var) (${wanted})\\s*[:=])`);
  for (const code of [...fenced, answer]) {
    const found = named.exec(code);
    if (found) return { name: (found[1] ?? found[2])!, code };
  }
  return null;
}

/** JSON with just the values that were told, in whatever order. */
export function checkJson(answer: string, { value }: { readonly value: unknown }): Verdict {
  const said = parsedJson(answer);
  if (said === undefined) return wrong("it is not JSON");
  return sameJson(said, value) ? RIGHT : wrong(`it should be ${JSON.stringify(value)}`);
}

/** One call of the right tool with the right arguments, and nothing else. */
export function checkToolCall(answer: string, check: Extract<Check, { kind: "toolCall" }>): Verdict {
  const call = /^\s*<tool_call>([\s\S]*?)<\/tool_call>\s*$/.exec(answer)?.[1];
  if (call === undefined) return wrong("it is not one call of a tool");
  return checkJson(call, { value: { name: check.name, arguments: check.value } });
}

function sameJson(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
  if (Array.isArray(a) !== Array.isArray(b) || left.length !== right.size) return false;
  return left.every(([key, value]) => right.has(key) && sameJson(value, right.get(key)));
}

const FEWEST_SENTENCES = 4;
const MOST_NAMES = 3;
/** One that it is about, and one to trade for it. */
const MOST_THINGS = 2;

/**
 * A story keeps to what it was asked for: it mentions that, its characters are those that the prompt names, none
 * becomes another one on the way, and neither does the thing that it is about.
 */
export function checkStory(answer: string, check: Extract<Check, { kind: "story" }>): Verdict {
  const sentences = answer.match(/[.!?]["”]?(?=\s|$)/g)?.length ?? 0;
  if (sentences < FEWEST_SENTENCES) return wrong(`it has ${sentences} sentences`);
  const missing = check.mentions.find((word) => !new RegExp(`\\b${word}\\b`, "i").test(answer));
  if (missing) return wrong(`it does not mention ${missing}`);
  const names = STORY_NAMES.filter((name) => new RegExp(`\\b${name}\\b`).test(answer));
  if (names.length > MOST_NAMES) return wrong(`it has ${names.length} characters: ${names.join(", ")}`);
  const things = STORY_THINGS.filter((thing) => new RegExp(`\\b${thing}\\b`).test(answer));
  if (things.length > MOST_THINGS) return wrong(`it has ${things.length} things: ${things.join(", ")}`);
  if (check.cast.length === 2) {
    const stranger = names.find((name) => !check.cast.some((character) => character.name === name));
    if (stranger) return wrong(`the prompt does not name ${stranger}`);
  }
  return checkKinds(answer, check.cast);
}

function checkKinds(answer: string, cast: readonly Character[]): Verdict {
  const kinds = new Map(cast.map(({ name, kind }) => [name, kind]));
  for (const { name, kind } of introductions(answer)) {
    const before = kinds.get(name);
    if (before !== undefined && before !== kind) return wrong(`${name} is a ${before}, and then a ${kind}`);
    kinds.set(name, kind);
  }
  return RIGHT;
}

/** "a small fox named Ember", "Ember, a small fox,", "Ember was a clever small fox", "Ember the fox". */
function introductions(answer: string): Character[] {
  const name = `\\b(?<name>${STORY_NAMES.join("|")})`;
  const kind = `(?<kind>${STORY_KINDS.join("|")})\\b`;
  const patterns = [
    `\\b${kind} (?:named|called) ${name}\\b`,
    `${name}(?: was|,) (?:an?|the) (?:[a-z]+ ){0,3}${kind}`,
    `${name} the (?:[a-z]+ )?${kind}`,
  ];
  return patterns
    .flatMap((pattern) => [...answer.matchAll(new RegExp(pattern, "g"))])
    .sort((a, b) => a.index - b.index)
    .map((match) => ({ name: match.groups!.name!, kind: match.groups!.kind! }));
}
