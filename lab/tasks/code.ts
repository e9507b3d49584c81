import { drawSubject } from "./code-kind.ts";
import { NUMBER_KINDS } from "./code-numbers.ts";
import { TEXT_KINDS } from "./code-texts.ts";
import type { Dice } from "./dice.ts";
import type { Task } from "./task.ts";

/** Small TypeScript functions for a request in English. */

const REQUESTS = [
  "Write a TypeScript function NAME that DOES.",
  "Please write a function named NAME in TypeScript that DOES.",
  "I need a function NAME that DOES.",
  "Can you write NAME, a TypeScript function that DOES?",
  "Give me a TypeScript function called NAME that DOES.",
  "Implement NAME in TypeScript: a function that DOES.",
  "Write a TypeScript function that DOES.",
  "Write a function that DOES.",
] as const;
const KINDS = [...NUMBER_KINDS, ...TEXT_KINDS];
const OPENINGS = ["", "", "Here is the function:\n", "Sure:\n"] as const;

export function codeTask(dice: Dice): Task {
  const kind = dice.pick(KINDS)(drawSubject(dice), dice);
  const name = dice.pick(kind.verbs) + kind.nameEnd;
  const does = dice.pick(kind.does);
  const request = dice.pick(REQUESTS);
  const prompt = request.replace("NAME", name).replace("DOES", does);
  const body = dice.pick(kind.bodies).map((line) => `  ${line}`);
  const code = [`function ${name}(${kind.parameters}): ${kind.returns} {`, ...body, "}"].join("\n");
  const explanation = dice.chance(0.3) ? `\nThe function ${does}.` : "";
  const answer = `${dice.pick(OPENINGS)}\`\`\`ts\n${code}\n\`\`\`${explanation}`;
  const cases = kind.inputs.map((args) => ({ args, result: kind.reference(...structuredClone(args)) }));
  return {
    family: "code",
    prompt,
    answer,
    check: { kind: "function", name: request.includes("NAME") ? name : null, cases },
  };
}
