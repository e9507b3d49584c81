import { Ajv } from "ajv";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { schemaGrammar } from "../../src/grammar/schema/schema.ts";
import { RealPair } from "../support/real-pair.ts";
import { draws } from "../support/world.ts";

/** Answers under a JSON Schema are JSON that fits it, whatever the models would rather say. */

const MOST_TOKENS = 300;
const GENERATIONS = 500;
const QUESTIONS = [
  "Bea is 22 years old.",
  "Tell me a story about a fox.",
  "What is 7 * 8?",
  "Hello!",
  "Paint it red.",
];
const KEYS = ["name", "age", "city", 'a "quoted" key', "käse", "x/y", "tags"];

/** A schema of bounded size, so that an answer always ends. */
function randomSchema(random: () => number, depth = 0): object {
  const below = (n: number) => Math.floor(random() * n);
  const maybe = <T>(value: T): T | Record<string, never> => (random() < 0.5 ? value : {});
  const inner = () => randomSchema(random, depth + 1);
  switch (below(depth > 1 ? 6 : 9)) {
    case 0:
      return { type: "string", maxLength: 1 + below(9), ...maybe({ minLength: 1 }) };
    case 1:
      return { type: "string", pattern: ["^[a-f]{2,4}$", "^(red|green)$", '^[^"]{1,3}$'][below(3)] };
    case 2: {
      const minimum = below(200) - 100;
      return { type: "integer", minimum, maximum: minimum + below(1000) };
    }
    case 3:
      return { type: "integer", minimum: 0, maximum: 999, multipleOf: 1 + below(7) };
    case 4:
      return { enum: ["red", 7, null, true, ["a", 1], { b: "c" }].slice(below(3)) };
    case 5:
      return { type: ["boolean", "null"] };
    case 6:
      return { anyOf: [inner(), inner()] };
    case 7: {
      const minItems = below(3);
      return { type: "array", items: inner(), minItems, maxItems: minItems + below(3) };
    }
    default: {
      const names = KEYS.filter(() => random() < 0.4);
      const properties = Object.fromEntries(names.map((name) => [name, inner()]));
      const required = names.filter(() => random() < 0.7);
      return { type: "object", properties, required, additionalProperties: false };
    }
  }
}

describe("the bundled pair under a JSON Schema", () => {
  let pair: RealPair;
  beforeAll(async () => {
    pair = await RealPair.open("models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf");
  });
  afterAll(() => pair.close());

  it(`gives ${GENERATIONS} answers to random schemas that all fit, by cloud, race and picospec`, async () => {
    const ajv = new Ajv({ strict: false });
    const answers = new Set<string>();
    let [accepted, rejected, dictated] = [0, 0, 0];
    for (let number = 0; number < GENERATIONS; number++) {
      const schema = randomSchema(draws(number));
      const fits = ajv.compile(schema);
      const grammar = await schemaGrammar(schema);
      const prompt = pair.prompt(QUESTIONS[number % QUESTIONS.length]!);
      const sampler = { temperature: 0.5 + (number % 3) / 2 };
      const texts: string[] = [];
      for (const policy of [POLICIES.cloud, POLICIES.race, POLICIES.picospec]) {
        const said = await pair.answer(policy, prompt, MOST_TOKENS, sampler, number, { grammar });
        expect(said.reason, `${number}: ${said.text}`).toBe("end");
        expect(fits(JSON.parse(said.text)), `${JSON.stringify(schema)}: ${said.text}`).toBe(true);
        texts.push(said.text);
        accepted += said.statistics.accepted;
        rejected += said.statistics.rejected;
        dictated += said.statistics.sources.grammar.accepted;
      }
      expect(texts[1], `${number}, race and cloud`).toBe(texts[0]);
      answers.add(texts[2]!);
    }
    expect(answers.size).toBeGreaterThan(GENERATIONS / 4);
    expect(accepted).toBeGreaterThan(1000);
    expect(rejected).toBeGreaterThan(100);
    expect(dictated).toBeGreaterThan(500);
  });

  it("control: without the grammar hardly any fits", async () => {
    const fits = new Ajv().compile({
      type: "object",
      properties: { name: { type: "string" } },
      required: ["name"],
    });
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
