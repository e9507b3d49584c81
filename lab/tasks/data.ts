import type { Dice } from "./dice.ts";
import type { JsonSchema, Task, Tool } from "./task.ts";
import { PEOPLE, THINGS } from "./words.ts";

/** JSON for a schema: what a sentence says as an object, or a request as a call of one of the tools that there are. */

/** Something that a sentence can say of a person or a thing. */
interface Fact {
  readonly key: string;
  readonly schema: JsonSchema;
  readonly value: unknown;
  /** part of a sentence */
  readonly told: string;
}

const COLORS = ["red", "blue", "green", "yellow", "black", "white"] as const;
const CITIES = "Oslo Lima Cairo Paris Delhi Rome Quito Kyoto Prague Dublin Havana Tunis".split(" ");
const SKIES = ["sunny", "cloudy", "rainy", "windy", "foggy"] as const;
const JOBS = ["baker", "teacher", "nurse", "pilot", "farmer", "singer"] as const;

type FactMaker = (dice: Dice) => Fact;

const PERSON_FACTS: readonly FactMaker[] = [
  (dice) => {
    const value = dice.between(3, 98);
    return { key: "age", schema: { type: "integer" }, value, told: `is ${value} years old` };
  },
  (dice) => {
    const value = dice.pick(CITIES);
    return { key: "city", schema: { type: "string" }, value, told: `lives in ${value}` };
  },
  (dice) => {
    const value = dice.pick(JOBS);
    return { key: "job", schema: { type: "string", enum: [...JOBS] }, value, told: `works as a ${value}` };
  },
  (dice) => {
    const value = dice.chance(0.5);
    return {
      key: "married",
      schema: { type: "boolean" },
      value,
      told: value ? "is married" : "is not married",
    };
  },
  (dice) => {
    const [count, things] = [dice.between(2, 60), dice.pick(THINGS)];
    return { key: things, schema: { type: "integer" }, value: count, told: `has ${count} ${things}` };
  },
];

const objectSchema = (facts: readonly { key: string; schema: JsonSchema }[]): JsonSchema => ({
  type: "object",
  properties: Object.fromEntries(facts.map(({ key, schema }) => [key, schema])),
  required: facts.map(({ key }) => key),
  additionalProperties: false,
});

const and = (parts: readonly string[]) =>
  parts.length === 1 ? parts[0]! : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;

function extraction(dice: Dice): Task {
  const { name } = dice.pick(PEOPLE);
  const facts = dice.some(PERSON_FACTS, dice.between(1, 3)).map((make) => make(dice));
  const named = { key: "name", schema: { type: "string" } as JsonSchema, value: name };
  const all = [named, ...facts];
  const schema = objectSchema(all);
  const text = `${name} ${and(facts.map(({ told }) => told))}.`;
  const ask = dice.pick([
    "Give a JSON object for this schema",
    "Answer with JSON that fits this schema",
    "Put the text into JSON with this schema",
  ]);
  const value = Object.fromEntries(all.map((fact) => [fact.key, fact.value]));
  return {
    family: "data",
    prompt: `${ask}: ${JSON.stringify(schema)}\nText: ${text}`,
    answer: jsonText(value),
    check: { kind: "json", schema, value },
  };
}

/** A tool, and requests for it with what they ask for. */
interface ToolKind {
  readonly tool: Tool;
  readonly request: (dice: Dice) => ToolRequest;
}

interface ToolRequest {
  readonly prompt: string;
  readonly arguments: Record<string, unknown>;
  /** what the tool returns */
  readonly result: unknown;
  /** what there is to say then */
  readonly reply: string;
}

const tool = (name: string, description: string, properties: Record<string, JsonSchema>): Tool => ({
  name,
  description,
  parameters: objectSchema(Object.entries(properties).map(([key, schema]) => ({ key, schema }))),
});

const TOOLS: readonly ToolKind[] = [
  {
    tool: tool("get_weather", "The weather in a city", { city: { type: "string" } }),
    request: (dice) => {
      const city = dice.pick(CITIES);
      const prompt = dice.pick([
        `How is the weather in ${city}?`,
        `Is it raining in ${city}?`,
        `Tell me the weather in ${city}.`,
      ]);
      const [sky, degrees] = [dice.pick(SKIES), dice.between(2, 35)];
      const reply = `It is ${sky} in ${city}, with ${degrees} degrees.`;
      return { prompt, arguments: { city }, result: { sky, degrees }, reply };
    },
  },
  {
    tool: tool("set_timer", "Starts a timer", { minutes: { type: "integer" } }),
    request: (dice) => {
      const minutes = dice.between(2, 59);
      const prompt = dice.pick([
        `Set a timer for ${minutes} minutes.`,
        `Wake me in ${minutes} minutes.`,
        `Start a timer of ${minutes} minutes, please.`,
      ]);
      const reply = `The timer runs for ${minutes} minutes.`;
      return { prompt, arguments: { minutes }, result: { running: true }, reply };
    },
  },
  {
    tool: tool("send_message", "Sends a message to somebody", {
      to: { type: "string" },
      text: { type: "string" },
    }),
    request: (dice) => {
      const to = dice.pick(PEOPLE).name;
      const text = dice.pick([
        "I am late",
        "dinner is ready",
        "see you soon",
        "happy birthday",
        "call me back",
      ]);
      const prompt = dice.pick([
        `Tell ${to}: ${text}.`,
        `Send ${to} the message "${text}".`,
        `Write to ${to} that says "${text}".`,
      ]);
      return { prompt, arguments: { to, text }, result: { sent: true }, reply: `I wrote to ${to}.` };
    },
  },
  {
    tool: tool("add", "Adds two numbers", { a: { type: "integer" }, b: { type: "integer" } }),
    request: (dice) => {
      const [a, b] = [dice.between(1, 99), dice.between(1, 99)];
      const prompt = dice.pick([`What is ${a} plus ${b}?`, `Add ${a} and ${b}.`]);
      return { prompt, arguments: { a, b }, result: a + b, reply: `${a} plus ${b} is ${a + b}.` };
    },
  },
  {
    tool: tool("paint", "Paints a thing in a color", {
      thing: { type: "string" },
      color: { type: "string", enum: [...COLORS] },
    }),
    request: (dice) => {
      const [thing, color] = [dice.pick(THINGS), dice.pick(COLORS)];
      const prompt = dice.pick([
        `Paint the ${thing} ${color}.`,
        `Make all ${thing} ${color}, please.`,
        `I want ${color} ${thing}.`,
      ]);
      const reply = `The ${thing} are ${color} now.`;
      return { prompt, arguments: { thing, color }, result: { painted: true }, reply };
    },
  },
];

function toolCall(dice: Dice): Task {
  const kinds = dice.some(TOOLS, dice.between(1, 3));
  const wanted = dice.pick(kinds);
  const request = wanted.request(dice);
  const { name, parameters } = wanted.tool;
  return {
    family: "data",
    prompt: request.prompt,
    tools: kinds.map((kind) => kind.tool),
    answer: toolCallText(name, request.arguments),
    afterCall: { result: jsonText(request.result), answer: request.reply },
    check: { kind: "toolCall", name, schema: parameters, value: request.arguments },
  };
}

/** JSON with a space behind commas and colons, as most models and chat templates write it. */
function jsonText(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).map(([key, of]) => `${JSON.stringify(key)}: ${jsonText(of)}`);
  return `{${entries.join(", ")}}`;
}

/** How a model writes a call: the form of Hermes and Qwen, which other servers read as well. */
function toolCallText(name: string, args: unknown): string {
  return `<tool_call>\n${jsonText({ name, arguments: args })}\n</tool_call>`;
}

export function dataTask(dice: Dice): Task {
  return dice.chance(0.5) ? extraction(dice) : toolCall(dice);
}
