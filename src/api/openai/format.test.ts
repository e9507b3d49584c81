import { beforeAll, describe, expect, it } from "vitest";
import { allows, byteGrammars } from "../../../test/support/byte-grammars.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";
import { toSeed } from "../../sampling/random.ts";
import type { Conversation } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import { choiceRequests, modelBy, promptRequests } from "../requests.ts";
import { chatConversation } from "./chat.ts";
import { completionConversation } from "./completions.ts";
import { parseChat } from "./schema/chat.ts";
import { parseCompletion } from "./schema/completion.ts";

const messages = [{ role: "user", content: "Hi" }];
const KNOWS_TOOLS = "{{ tools }} <tool_call>";
const AGE = {
  type: "object",
  properties: { age: { type: "integer", minimum: 1, maximum: 120 } },
  required: ["age"],
  additionalProperties: false,
};
const TOOL = { type: "function", function: { name: "find", parameters: AGE } };
const CALL = '<tool_call>\n{"name": "find", "arguments": {"age": 7}}\n</tool_call>';

/** What the first choice asks for. */
function demanded(conversation: Conversation, template: string | null = KNOWS_TOOLS, thinkingOpen = false) {
  const model = modelBy(template);
  const [prompt = null] = Array.isArray(conversation.prompts[0]) ? promptRequests(conversation, model) : [];
  const prompts = [{ prompt: conversation.prompts[0]!, thinkingOpen }];
  const { choices, relaxed } = choiceRequests(conversation, model, prompts, () => toSeed(1));
  return { ...choices[0]!.request, tools: prompt?.tools, read: choices[0]!.reading?.tools, relaxed };
}
const demand = (more: object, ...how: [template?: string, thinkingOpen?: boolean]) =>
  demanded(chatConversation(parseChat({ messages, ...more })), ...how);
const problem = (more: object) => {
  try {
    demand(more);
  } catch (error) {
    if (error instanceof HttpError)
      return { status: error.status, param: error.param, message: error.message };
    throw error;
  }
  return null;
};

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

describe("the format of an answer", () => {
  const age = { json_schema: { name: "age", schema: AGE } };
  it.each<[string, object, string[], string[]]>([
    [
      "json_schema",
      { response_format: { type: "json_schema", ...age } },
      ['{"age": 7}'],
      ['{"age": 0}', "7"],
    ],
    ["json_object", { response_format: { type: "json_object" } }, ["{}", '{"a": [1]}'], ["[]", "a"]],
    [
      "json_object with a schema",
      { response_format: { type: "json_object", schema: AGE } },
      ['{"age": 120}'],
      ['{"age": 121}', "{}"],
    ],
    ["llama.cpp's json_schema", { json_schema: AGE }, ['{"age": 1}'], ['{"age": "1"}']],
    ["llama.cpp's grammar, GBNF", { grammar: 'root ::= "yes" | "no"' }, ["yes", "no"], ["yesno", ""]],
    ["a Lark grammar", { grammar: 'start: "yes" | "no"' }, ["yes"], ["maybe"]],
    ["vLLM's guided_json", { guided_json: AGE }, ['{"age": 1}'], ["{}"]],
    ["guided_json as text", { guided_json: JSON.stringify(AGE) }, ['{"age": 1}'], ["{}"]],
    ["guided_regex", { guided_regex: "a+b|c" }, ["aab", "c"], ["ab c", "a"]],
    ["guided_choice", { guided_choice: ["a", "ab", 'a"b\n'] }, ["a", "ab", 'a"b\n'], ["b", "aab", ""]],
    ["guided_grammar", { guided_grammar: 'root ::= "x" root | "y"' }, ["y", "xxy"], ["x"]],
    ["structured_outputs.json", { structured_outputs: { json: AGE } }, ['{"age": 1}'], ["{}"]],
    ["structured_outputs.regex", { structured_outputs: { regex: "[0-9]{2}" } }, ["12"], ["1", "123"]],
    ["structured_outputs.choice", { structured_outputs: { choice: ["up", "down"] } }, ["up"], ["updown"]],
    ["structured_outputs.grammar", { structured_outputs: { grammar: 'root ::= "z"' } }, ["z"], ["zz"]],
  ])("%s", (_, fields, right, wrong) => {
    const { grammar } = demand(fields);
    const plain = completionConversation(parseCompletion({ prompt: "a", ...fields }));
    expect(demanded(plain).grammar).toEqual(grammar);
    if (typeof grammar !== "object") throw new Error("a grammar has a kind");
    for (const text of right) expect(allows(grammars, grammar, text), text).toBe(true);
    for (const text of wrong) expect(allows(grammars, grammar, text), text).toBe(false);
  });

  it("is none for text, and where the fields are null", () => {
    expect(demand({ response_format: { type: "text" } }).grammar).toBeUndefined();
    expect(
      demand({ response_format: null, guided_json: null, structured_outputs: null }).grammar,
    ).toBeUndefined();
  });

  it("is one: two are refused", () => {
    expect(problem({ guided_regex: "a", guided_choice: ["a"] })).toMatchObject({
      status: 400,
      param: "guided_choice",
      message: expect.stringMatching(/guided_regex and guided_choice/),
    });
  });

  it.each([
    [{ response_format: { type: "xml" } }, "response_format.type"],
    [{ guided_json: "{" }, "guided_json"],
    [{ guided_choice: [] }, "guided_choice"],
    [{ structured_outputs: { structural_tag: {} } }, "structured_outputs.structural_tag"],
  ])("that is wrong says where: %j", (fields, param) => {
    expect(problem(fields)).toMatchObject({ status: 400, param });
  });

  const unkept = {
    type: "object",
    properties: { a: { type: "string", contentSchema: {}, not: { minLength: 3 } } },
  };
  const format = (strict?: boolean) => ({
    response_format: { type: "json_schema", json_schema: { name: "x", schema: unkept, strict } },
  });

  it("with a keyword that cannot be kept is refused, by its name and path", () => {
    for (const strict of [undefined, true]) {
      const { message, status } = problem(format(strict))!;
      expect(status).toBe(400);
      expect(message).toMatch(/"?not"? .*#\/properties\/a/);
    }
  });

  it("that is deep, large, or has much that cannot be kept is a 400, and no time is lost over it", {
    timeout: 20_000,
  }, () => {
    const of = (schema: unknown, strict: boolean) =>
      problem({ response_format: { type: "json_schema", json_schema: { name: "x", schema, strict } } });
    const deep = JSON.parse(`{"description":${"[".repeat(5000)}${"]".repeat(5000)}}`);
    const unkept = Array.from({ length: 200 }, (_, i) => ({ contains: { const: i } }));
    for (const strict of [true, false]) {
      expect(of(deep, strict)).toMatchObject({ status: 400, message: expect.stringMatching(/deeper/) });
      expect(of({ allOf: unkept }, strict)).toMatchObject({ status: 400 });
      expect(of({ enum: Array.from({ length: 30_000 }, (_, i) => i) }, strict)).toMatchObject({
        status: 400,
      });
    }
    const tools = Array.from({ length: 100 }, (_, i) => ({
      type: "function",
      function: { name: `f${i}`, parameters: { enum: Array.from({ length: 900 }, (_, j) => j) } },
    }));
    expect(problem({ tools, tool_choice: "required" })).toMatchObject({
      status: 400,
      message: expect.stringMatching(/schemas of a request have at most/),
    });
    expect(problem({ grammar: `x${"\n".repeat(200_000)}` })).toBeNull();
    expect(
      problem({ guided_choice: Array.from({ length: 2000 }, (_, i) => `a choice of words ${i}`) }),
    ).toMatchObject({
      status: 400,
      param: "guided_choice",
    });
  });

  it("that is empty is none", () => {
    expect(demand({ grammar: "", guided_regex: "", guided_json: "" }).grammar).toBeUndefined();
  });

  it("is relaxed where the client allows that, and says so", () => {
    const { relaxed, grammar } = demand(format(false));
    expect(relaxed).toEqual(["not at #/properties/a/not of response_format"]);
    expect(allows(grammars, grammar as never, '{"a": "long text"}')).toBe(true);
  });
});

describe("tools", () => {
  it("that need not be called leave the answer free", () => {
    expect(demand({ tools: [TOOL] })).toMatchObject({ read: [TOOL.function], tools: [TOOL], relaxed: [] });
    expect(demand({ tools: [TOOL] }).grammar).toBeUndefined();
    const none = demand({ tools: [TOOL], tool_choice: "none" });
    expect([none.read, none.tools]).toEqual([[], undefined]);
  });

  it.each([["required"], [{ type: "function", function: { name: "find" } }]])("%j: a call", (tool_choice) => {
    const { grammar } = demand({ tools: [TOOL], tool_choice });
    expect(allows(grammars, grammar as never, CALL)).toBe(true);
    expect(allows(grammars, grammar as never, CALL.replace("7", "700"))).toBe(false);
    expect(allows(grammars, grammar as never, '{"age": 7}')).toBe(false);
  });

  it("together with a format: a call, or an answer that keeps to it", () => {
    const response_format = { type: "json_schema", json_schema: { name: "n", schema: { type: "integer" } } };
    const { grammar } = demand({ tools: [TOOL], response_format });
    for (const text of [CALL, "12"]) expect(allows(grammars, grammar as never, text), text).toBe(true);
    for (const text of ["Hello", `${CALL}12`, '{"age": 7}'])
      expect(allows(grammars, grammar as never, text), text).toBe(false);
    const any = demand({ tools: [TOOL], guided_json: true }).grammar;
    for (const text of [CALL, "[1]"]) expect(allows(grammars, any as never, text), text).toBe(true);
    expect(problem({ tools: [TOOL], guided_regex: "a" })).toMatchObject({
      status: 400,
      param: "guided_regex",
    });
  });

  it("with names that need escapes, and fields that are null", () => {
    const tool = {
      type: "function",
      function: { name: 's"ay\n', description: null, parameters: null, strict: null },
    };
    const { grammar } = demand({ tools: [tool], tool_choice: "required" });
    const call = '<tool_call>\n{"name": "s\\"ay\\n", "arguments": {"x": 1}}\n</tool_call>';
    expect(allows(grammars, grammar as never, call)).toBe(true);
  });

  it("relax a keyword of their parameters unless they are strict", () => {
    const tool = (strict: boolean) => ({
      type: "function",
      function: {
        name: "f",
        strict,
        parameters: { type: ["object", "array"], contains: { type: "object", minProperties: 1 } },
      },
    });
    const tool_choice = "required";
    const where = "tools.0.function.parameters";
    expect(demand({ tools: [tool(false)], tool_choice }).relaxed).toEqual([
      `contains at #/contains of ${where}`,
    ]);
    expect(problem({ tools: [tool(true)], tool_choice })).toMatchObject({
      status: 400,
      param: where,
      message: expect.stringMatching(/contains at #\/contains cannot be kept/),
    });
  });

  it("that there are none of are refused", () => {
    const none = { type: "function", function: { name: "g" } };
    expect(problem({ tools: [TOOL], tool_choice: none })).toMatchObject({
      status: 400,
      param: "tool_choice",
    });
    expect(problem({ tool_choice: "required" })).toMatchObject({ status: 400, param: "tool_choice" });
  });
});
