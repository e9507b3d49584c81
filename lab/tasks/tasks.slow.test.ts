import { describe, expect, it } from "vitest";
import { z } from "zod";
import { assert } from "../../src/util/assert.ts";
import { checkJson, checkNumber, checkStory, checkToolCall, functionIn } from "./check.ts";
import { Dice } from "./dice.ts";
import { drawTask, splitOf, TASK_FAMILIES } from "./draw.ts";
import { drill } from "./math.ts";
import { STORY_NAMES } from "./story.ts";
import type { Check, Task, TaskFamily } from "./task.ts";

const COUNT = 2000;
const drawn = (family: TaskFamily, split: "training" | "held-out" = "training", count = COUNT) =>
  Array.from({ length: count }, (_, number) => drawTask(family, split, 1, number));

function checked<K extends Check["kind"]>(task: Task, kind: K): Extract<Check, { kind: K }> {
  assert(task.check.kind === kind, `a ${task.family} task has a check of its kind`);
  return task.check as Extract<Check, { kind: K }>;
}

describe.each(TASK_FAMILIES)("tasks: %s", (family) => {
  it("are a function of seed and number", () => {
    expect(drawn(family, "training", 50)).toEqual(drawn(family, "training", 50));
    expect(drawTask(family, "training", 2, 0)).not.toEqual(drawTask(family, "training", 1, 0));
  });

  it("are many, and no held-out prompt is one of training", () => {
    const training = new Set(drawn(family).map(({ prompt }) => prompt));
    const heldOut = drawn(family, "held-out", 300).map(({ prompt }) => prompt);
    expect(training.size).toBeGreaterThan(0.8 * COUNT);
    expect(new Set(heldOut).size).toBeGreaterThan(150);
    for (const prompt of heldOut) expect(training.has(prompt)).toBe(false);
    expect([...training].every((prompt) => splitOf(prompt) === "training")).toBe(true);
  });

  it("have no gaps left in their text", () => {
    for (const { prompt, answer } of drawn(family, "training", 500)) {
      expect(`${prompt}\n${answer}`).not.toMatch(
        /undefined|NaN|NAME|DOES|\bN\b|\[object |\s{3}\S.*\{\{| {2,}$/m,
      );
    }
  });
});

describe("math", () => {
  it("has equations that hold, with whole numbers up to 99, and ends in the last result", () => {
    for (const task of drawn("math")) {
      let last = Number.NaN;
      for (const [, left, operator, right, result] of task.answer.matchAll(
        /(\d+) ([-+*/]) (\d+) = (\d+)\./g,
      )) {
        const [a, b] = [Number(left), Number(right)];
        last = { "+": a + b, "-": a - b, "*": a * b, "/": a / b }[operator as "+"];
        expect(Number(result), task.answer).toBe(last);
        for (const value of [a, b, last]) {
          expect(Number.isInteger(value) && value >= 0 && value <= 99, `${task.prompt}\n${task.answer}`).toBe(
            true,
          );
        }
      }
      expect(checked(task, "number").value).toBe(last);
    }
  });

  it("uses no number in its answer that the prompt or an earlier line does not give", () => {
    for (const { prompt, answer } of drawn("math")) {
      const known = new Set([...prompt.matchAll(/\d+/g)].map(([digits]) => digits));
      for (const word of ["twice", "three times", "four times"].entries()) {
        if (prompt.includes(word[1])) known.add(String(word[0] + 2));
      }
      for (const line of answer.split("\n")) {
        const numbers = [...line.matchAll(/\d+/g)].map(([digits]) => digits);
        const given = line.includes("=") ? numbers.slice(0, -1) : numbers;
        for (const number of given) expect(known, `${prompt}\n${answer}`).toContain(number);
        if (line.includes("=")) known.add(numbers.at(-1)!);
      }
    }
  });

  it("takes the right number in the answer's last line, and nothing else", () => {
    const check = { kind: "number", value: 17 } as const;
    expect(checkNumber("12 + 5 = 17.\nAnswer: 17", check)).toEqual({ right: true, why: "" });
    expect(checkNumber("Answer: 17\nOr no:\nAnswer: 18", check).why).toMatch(/18, and it is 17/);
    for (const answer of ["**Answer: 17**", "Answer: $17", "answer: 17 apples.", "- Answer: 17"]) {
      expect(checkNumber(answer, check).right, answer).toBe(true);
    }
    for (const answer of [
      "17",
      "Answer: 170",
      "The Answer: 17",
      "Answer: 17 or 18",
      "Answer: 17.5",
      "Answer: -17",
      "",
    ]) {
      expect(checkNumber(answer, check).right, answer).toBe(false);
    }
    for (const task of drawn("math")) {
      expect(checkNumber(task.answer, checked(task, "number")).right).toBe(true);
      const off = task.answer.replace(/Answer: (\d+)/, (_, value) => `Answer: ${Number(value) + 1}`);
      expect(checkNumber(off, checked(task, "number")).right).toBe(false);
    }
  });

  it("has drills that hold", () => {
    for (let number = 0; number < 200; number++) {
      const { answer } = drill(new Dice(1, number));
      const equations = [...answer.matchAll(/^(\d+) ([-+*/]) (\d+) = (\d+)\.$/gm)];
      expect(equations.length).toBe(answer.split("\n").length);
      for (const [, left, operator, right, result] of equations) {
        const [a, b] = [Number(left), Number(right)];
        expect({ "+": a + b, "-": a - b, "*": a * b, "/": a / b }[operator as "+"]).toBe(Number(result));
      }
    }
  });
});

describe("code", () => {
  it("shows a function of the wanted name, with cases that tell results apart", () => {
    for (const task of drawn("code")) {
      const { name, cases } = checked(task, "function");
      if (name !== null) expect(task.prompt).toContain(name);
      const shown = functionIn(task.answer, name)!;
      expect(shown.code).toContain(`function ${shown.name}(`);
      expect(new Set(cases.map(({ result }) => JSON.stringify(result))).size, task.answer).toBeGreaterThan(1);
      // Cases go to another process as JSON: nothing may be lost on the way.
      expect(JSON.parse(JSON.stringify(cases))).toEqual(cases);
    }
  });

  it("finds code with fences and without, and none of another name", () => {
    const code = (answer: string, name: string | null) => functionIn(answer, name)?.code;
    const fenced = "Sure:\n```ts\nfunction a(x: number): number {\n  return x;\n}\n```\nDone.";
    expect(code(fenced, "a")).toBe("function a(x: number): number {\n  return x;\n}\n");
    expect(code("function a() {}", "a")).toBe("function a() {}");
    expect(functionIn("```ts\nfunction ab() {}\n```", "a")).toBe(null);
    const second = "First:\n```sh\nnpm i\n```\n```ts x\nconst a = (x: number) => x;\n```";
    expect(code(second, "a")).toBe("const a = (x: number) => x;\n");
    expect(code("export function a<T>(x: T): T { return x; }", "a")).toMatch(/^export/);
    expect(functionIn(fenced, null)?.name).toBe("a");
    expect(functionIn(second, null)?.name).toBe("a");
    expect(functionIn("I do not know.", null)).toBe(null);
  });
});

describe("stories", () => {
  it("keep to their characters and to what was asked for", () => {
    for (const task of drawn("story")) {
      expect(checkStory(task.answer, checked(task, "story")), `${task.prompt}\n${task.answer}`).toEqual({
        right: true,
        why: "",
      });
    }
  });

  it("are wrong when the thing becomes another on the way", () => {
    const story =
      "Near the mill lived a fox called Momo. Momo found a lantern. The map was old. Momo kept the wheel.";
    const check = { kind: "story", cast: [], mentions: [] } as const;
    expect(checkStory(story, check).why).toBe("it has 3 things: lantern, map, wheel");
    expect(checkStory(story.replace("wheel", "lantern"), check).right).toBe(true);
  });

  it("control: with a name or a kind exchanged, or the thing omitted, they are wrong", () => {
    let [names, kinds, things] = [0, 0, 0];
    for (const task of drawn("story", "training", 500)) {
      const check = checked(task, "story");
      const inText = STORY_NAMES.filter((name) => task.answer.includes(name));
      if (check.cast.length === 2) {
        const other = STORY_NAMES.find((name) => !inText.includes(name))!;
        const at = task.answer.lastIndexOf(check.cast[0]!.name);
        const changed = task.answer.slice(0, at) + other + task.answer.slice(at + check.cast[0]!.name.length);
        expect(checkStory(changed, check).right, changed).toBe(false);
        names++;
      }
      const last = /(\w+) the (\w+) and (\w+) the (\w+) were friends/.exec(task.answer);
      if (last) {
        const otherKind = last[2] === "otter" ? "heron" : "otter";
        const changed = task.answer.replace(
          last[0],
          `${last[1]} the ${otherKind} and ${last[3]} the ${last[4]} were friends`,
        );
        expect(checkStory(changed, check).why).toMatch(new RegExp(`then a ${otherKind}`));
        kinds++;
      }
      const [word] = check.mentions;
      if (word === undefined) continue;
      expect(
        checkStory(task.answer.replaceAll(new RegExp(`\\b${word}\\b`, "gi"), "thing"), check).right,
      ).toBe(false);
      things++;
    }
    expect(Math.min(names, kinds, things)).toBeGreaterThan(50);
  });

  it("may say of a character what is no kind", () => {
    const check = { kind: "story", cast: [{ name: "Ember", kind: "fox" }], mentions: [] } as const;
    const say = (sentence: string) =>
      checkStory(`Ember was a clever little fox. It rained. ${sentence} They slept.`, check);
    for (const sentence of [
      "Nico gave Ember the lantern.",
      "Ember was a good friend.",
      "A friend named Ember came.",
    ]) {
      expect(say(sentence), sentence).toEqual({ right: true, why: "" });
    }
    for (const sentence of [
      "Ember was a bear.",
      "Ember the old owl slept.",
      "There was a crow called Ember.",
    ]) {
      expect(say(sentence).why, sentence).toMatch(/Ember is a fox, and then a (bear|owl|crow)/);
    }
  });

  it("that are no stories are wrong", () => {
    const check = { kind: "story", cast: [], mentions: [] } as const;
    expect(checkStory("A fox.", check).why).toMatch(/1 sentence/);
    const crowd = STORY_NAMES.slice(0, 5).map((name) => `${name} came.`);
    expect(checkStory(crowd.join(" "), check).why).toMatch(/5 characters/);
  });
});

describe("data", () => {
  const drawnData = drawn("data");

  it("has objects and arguments that fit their schemas", () => {
    for (const { check, prompt } of drawnData) {
      assert(check.kind === "json" || check.kind === "toolCall", "a data task has a schema");
      const schema = z.fromJSONSchema(check.schema as Parameters<typeof z.fromJSONSchema>[0]);
      expect(schema.safeParse(check.value).success, prompt).toBe(true);
      // Control: with a key too many it does not fit.
      expect(schema.safeParse({ ...(check.value as object), more: 1 }).success).toBe(false);
    }
  });

  it("tells every value in its prompt, and offers the tool that is called", () => {
    let calls = 0;
    for (const { check, prompt, tools } of drawnData) {
      assert(check.kind === "json" || check.kind === "toolCall", "a data task has a schema");
      for (const value of Object.values(check.value as object)) {
        if (typeof value !== "boolean") expect(prompt).toContain(String(value));
      }
      if (check.kind === "toolCall") {
        calls++;
        expect(tools?.find(({ name }) => name === check.name)?.parameters).toEqual(check.schema);
      }
    }
    expect(calls).toBeGreaterThan(0.4 * COUNT);
    expect(calls).toBeLessThan(0.6 * COUNT);
  });

  it("takes its answers, in any order of keys, and no other", () => {
    for (const task of drawnData.slice(0, 300)) {
      const { check, answer } = task;
      if (check.kind === "toolCall") {
        expect(checkToolCall(answer, check)).toEqual({ right: true, why: "" });
        expect(checkToolCall(`Sure: ${answer}`, check).right).toBe(false);
        expect(checkToolCall(answer.replace(check.name, "other"), check).right).toBe(false);
      } else {
        assert(check.kind === "json", "a data task has a schema");
        expect(checkJson(answer, check)).toEqual({ right: true, why: "" });
        const turned = Object.fromEntries(Object.entries(check.value as object).reverse());
        expect(checkJson(JSON.stringify(turned), check).right).toBe(true);
        expect(checkJson(answer.replace('"name": "', '"name": "X'), check).why).toMatch(/should be/);
        expect(checkJson(answer.slice(1), check).why).toBe("it is not JSON");
        expect(checkJson(JSON.stringify({ ...turned, more: 1 }), check).right).toBe(false);
      }
    }
  });
});
