import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { schemaGrammar } from "../../src/grammar/schema/schema.ts";
import { RealPair } from "../support/real-pair.ts";

/** Answers under a JSON Schema are JSON that fits it, whatever the models would rather say. */

const MOST_TOKENS = 200;
const GENERATIONS = 500;
const text = { type: "string", maxLength: 8 };
const SCHEMAS: readonly object[] = [
  {
    type: "object",
    properties: {
      name: text,
      age: { type: "integer", minimum: 1, maximum: 99 },
      married: { type: "boolean" },
    },
    required: ["name", "age", "married"],
    additionalProperties: false,
  },
  { type: "array", items: { enum: ["red", "green", "blue"] }, minItems: 2, maxItems: 4 },
  {
    type: "object",
    properties: {
      kind: { const: "point" },
      at: {
        type: "object",
        properties: {
          x: { type: "integer", minimum: 0, maximum: 9 },
          y: { type: "integer", minimum: 0, maximum: 9 },
        },
        required: ["x", "y"],
        additionalProperties: false,
      },
    },
    required: ["kind", "at"],
    additionalProperties: false,
  },
  { anyOf: [{ type: "boolean" }, { type: "null" }, { enum: ["maybe", "never"] }] },
  {
    type: "object",
    properties: {
      tags: { type: "array", items: text, maxItems: 2 },
      note: { anyOf: [text, { type: "null" }] },
    },
    required: ["tags", "note"],
    additionalProperties: false,
  },
];
const QUESTIONS = [
  "Bea is 22 years old.",
  "Tell me a story about a fox.",
  "What is 7 * 8?",
  "Hello!",
  "Paint it red.",
];

describe("the bundled pair under a JSON Schema", () => {
  let pair: RealPair;
  beforeAll(async () => {
    pair = await RealPair.open("models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf");
  });
  afterAll(() => pair.close());

  it(`gives ${GENERATIONS} answers that all fit, by race and by picospec, and differ`, async () => {
    const ajv = new Ajv();
    const kinds = await Promise.all(
      SCHEMAS.map(async (schema) => ({ fits: ajv.compile(schema), grammar: await schemaGrammar(schema) })),
    );
    const answers = new Set<string>();
    let [accepted, rejected] = [0, 0];
    for (let number = 0; number < GENERATIONS; number++) {
      const { fits, grammar } = kinds[number % kinds.length]!;
      const policy = number % 2 ? POLICIES.race : POLICIES.picospec;
      const prompt = pair.prompt(QUESTIONS[Math.floor(number / kinds.length) % QUESTIONS.length]!);
      const sampler = { temperature: 0.5 + (number % 3) / 2 };
      const said = await pair.answer(policy, prompt, MOST_TOKENS, sampler, number, {
        grammar,
      });
      expect(said.reason, said.text).toBe("end");
      expect(fits(JSON.parse(said.text)), said.text).toBe(true);
      answers.add(said.text);
      accepted += said.statistics.accepted;
      rejected += said.statistics.rejected;
    }
    expect(answers.size).toBeGreaterThan(GENERATIONS / 5);
    expect(accepted).toBeGreaterThan(1000);
    expect(rejected).toBeGreaterThan(100);
  });

  it("control: without the grammar hardly any fits", async () => {
    const fits = new Ajv().compile(SCHEMAS[0]!);
    let right = 0;
    for (let number = 0; number < 10; number++) {
      const { text: said } = await pair.answer(
        POLICIES.race,
        pair.prompt("Tell me a story."),
        60,
        {},
        number,
      );
      try {
        if (fits(JSON.parse(said))) right++;
      } catch {
        // It is no JSON at all.
      }
    }
    expect(right).toBeLessThan(2);
  });
});
