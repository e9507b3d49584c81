import { describe, expect, it } from "vitest";
import type { ChatMessage } from "../conversation.ts";
import { abilitiesOf } from "./abilities.ts";
import { parseTemplate } from "./interpreter.ts";
import { oneTemplate } from "./named.ts";
import { preparedMessages } from "./prepare.ts";
import { rendered } from "./render.ts";

/** Conversations as templates of every kind want them; test/real has those of real models. */

const abilities = (source: string) => abilitiesOf(parseTemplate(source), source);
const prepared = (source: string, messages: readonly ChatMessage[]) =>
  preparedMessages(messages, abilities(source));
const prompt = (source: string, messages: readonly ChatMessage[], more: object = {}) =>
  rendered(source, { messages, add_generation_prompt: true, bos_token: "", eos_token: "", ...more });

const SIMPLE =
  "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";
const STRICT =
  "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}";
const FIRST_SYSTEM =
  "{% for m in messages %}{% if m.role != 'system' or loop.first %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}";
const PARTS =
  "{% for m in messages %}<{{ m.role }}>{% for p in m.content %}{{ p.text }};{% endfor %}{% endfor %}";

const user = (content: string): ChatMessage => ({ role: "user", content });
const system = (content: string): ChatMessage => ({ role: "system", content });
const assistant = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: "assistant",
  content,
  ...more,
});
const call = (args: string): Partial<ChatMessage> => ({
  tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: args } }],
});

describe("what a template takes", () => {
  it("is found by trying it", () => {
    expect(abilities(SIMPLE)).toMatchObject({
      ...{ takesText: true, takesParts: false, takesSystem: true, takesLaterSystem: true },
    });
    expect(abilities(STRICT)).toMatchObject({ takesSystem: false, takesLaterSystem: false });
    expect(abilities(FIRST_SYSTEM)).toMatchObject({ takesSystem: true, takesLaterSystem: false });
    expect(abilities(PARTS)).toMatchObject({ takesText: false, takesParts: true });
  });

  it.each([
    ["reasoning_content", "{% for m in messages %}{{ m.reasoning_content }}{{ m.content }}{% endfor %}"],
    ["thinking", "{% for m in messages %}{{ m.thinking }}{{ m.content }}{% endfor %}"],
    ["reasoning", "{% for m in messages %}{{ m.reasoning }}{{ m.content }}{% endfor %}"],
    ["reasoning_content", SIMPLE],
    [
      "part",
      "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}{{ p.thinking or p.text }}{% endfor %}{% endif %}{% endfor %}",
    ],
  ])("is a thought as %s for %s", (field, source) => {
    expect(abilities(source).thoughtField).toBe(field);
  });

  it("is arguments as an object, or as JSON", () => {
    const loops =
      "{% for m in messages %}{% for c in m.tool_calls %}{% for k in c.function.arguments %}{{ k }}={{ c.function.arguments[k] }}{% endfor %}{% endfor %}{% endfor %}";
    const joins =
      "{% for m in messages %}{% for c in m.tool_calls %}{{ '<' + c.function.arguments + '>' }}{% endfor %}{% endfor %}";
    const messages = [user("Go."), assistant("", call('{"a": 1}'))];
    expect(prompt(loops, messages)).toBe("a=1");
    expect(prompt(joins, messages)).toBe('<{"a": 1}>');
    expect(prompt(joins, [user("Go."), assistant("", call('{"a": '))])).toBe('<{"a": >');
  });
});

describe("a system message", () => {
  it("goes into the user's message where the template refuses it", () => {
    expect(prompt(STRICT, [system("Be brief."), user("Hi")])).toBe("<user>Be brief.\nHi");
    expect(prompt(STRICT, [user("Hi"), assistant("Yes"), system("Now"), system("obey"), user("Go")])).toBe(
      "<user>Hi<assistant>Yes<user>Now\nobey\nGo",
    );
  });

  it("is the user's own where no message of the user follows", () => {
    expect(prompt(STRICT, [system("Be brief.")])).toBe("<user>Be brief.");
    expect(prompt(STRICT, [user("Hi"), system("Now"), assistant("Yes")])).toBe(
      "<user>Hi<user>Now<assistant>Yes",
    );
  });

  it("is one with the first where the template shows that alone", () => {
    expect(prompt(FIRST_SYSTEM, [system("A"), system("B"), user("Hi")])).toBe("<system>A\nB<user>Hi");
  });

  it("keeps the parts of the user's message", () => {
    const source = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}{% for p in m.content %}{{ p.text }};{% endfor %}{% endfor %}`;
    expect(prompt(source, [system("S"), { ...user("a\nb"), parts: ["a", "b"] }])).toBe("S;a;b;");
  });
});

describe("content in parts", () => {
  const message = { ...user("a\nb"), parts: ["a", "b"] };

  it("is joined by newlines where the template takes texts, and given as it is where not", () => {
    expect(prompt(SIMPLE, [message])).toBe("<user>a\nb<assistant>");
    expect(prompt(PARTS, [message, assistant("c")])).toBe("<user>a;b;<assistant>c;");
  });
});

describe("results of calls", () => {
  const source =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for r in m['tool_responses'] or [] %}[{{ r.name }}: {{ r.response.x }}]{% endfor %}{% endfor %}";

  it("are in the message that has the calls, with the answer, where the template looks for them there", () => {
    const result: ChatMessage = { role: "tool", tool_call_id: "c1", content: '{"x": 5}' };
    const messages = [user("Go."), assistant("", call("{}")), result, assistant("Done."), assistant("More.")];
    expect(prompt(source, messages)).toBe("<user>Go.<assistant>Done.[f: 5]<assistant>More.");
    expect(prepared(SIMPLE, messages)).toHaveLength(5);
  });
});

describe("an assistant's message that is continued", () => {
  const closing = `{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;

  it("ends the prompt, without what the template puts behind it", () => {
    const more = { continues: true };
    expect(prompt(closing, [user("Hi"), assistant("The sky is ")], more)).toBe(
      "<user>Hi<end><assistant>The sky is",
    );
    expect(prompt(closing, [user("Hi"), assistant("")], more)).toBe("<user>Hi<end><assistant>");
    expect(prompt(closing, [user("Hi")], more)).toBe("<user>Hi<end><assistant>");
  });

  it("is refused where the template does not show it", () => {
    const source = "{% for m in messages %}{{ m.content | upper }}{% endfor %}";
    const messages = [user("Hi"), assistant("The sky")];
    expect(() => prompt(source, messages, { continues: true })).toThrow(/cannot be continued/);
  });
});

describe("more variables", () => {
  it("reach the template, and set none of ours", () => {
    const source = "{{ enable_thinking }}{{ effort }}{{ messages | length }}{{ tools }}";
    expect(prompt(source, [user("Hi")])).toBe("True1None");
    const more = { enable_thinking: false, effort: "high", messages: [], tools: [] };
    expect(prompt(source, [user("Hi")], { more })).toBe("Falsehigh1None");
  });
});

describe("two templates", () => {
  it("are one, which takes the other for tools", () => {
    const both = oneTemplate("\n plain\n", "  tools\n")!;
    const tools = [{ type: "function", function: { name: "f" } }];
    expect(prompt(both, [user("Hi")])).toBe("\n plain");
    expect(prompt(both, [user("Hi")], { tools })).toBe("  tools");
    expect(oneTemplate("a", null)).toBe("a");
    expect(oneTemplate(null, "b")).toBe("b");
    expect(oneTemplate(null, null)).toBeNull();
  });
});

describe("calls and results that a template does not show", () => {
  const turns: ChatMessage[] = [
    user("Go."),
    assistant("I look.", { ...call('{"a": 1.0}'), written_calls: '<call>f {"a": 1.0}' }),
    { role: "tool", content: "R1", tool_call_id: "c1" },
    { role: "tool", content: "R2", tool_call_id: "c2" },
    user("And?"),
  ];
  const RAISING =
    "{% for m in messages %}{% if m.tool_calls or (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('no') }}{% endif %}<{{ m.role }}>{{ m.content }}{% endfor %}";
  const CALLS =
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% for c in m.tool_calls or [] %}[{{ c.function.arguments }}]{% endfor %}{% endfor %}";

  it("are text where it drops calls", () => {
    expect(abilities(SIMPLE)).toMatchObject({ takesCalls: false, takesResults: true });
    expect(prompt(SIMPLE, turns)).toBe(
      '<user>Go.<assistant>I look.\n<call>f {"a": 1.0}<tool>R1<tool>R2<user>And?<assistant>',
    );
  });

  it("and where it refuses calls and results, in turns that alternate", () => {
    expect(abilities(RAISING)).toMatchObject({ takesCalls: false, takesResults: false });
    const results = ["R1", "R2"].map((text) => `<tool_response>\n${text}\n</tool_response>`).join("\n");
    expect(prompt(RAISING, turns)).toBe(
      `<user>Go.<assistant>I look.\n<call>f {"a": 1.0}<user>${results}\nAnd?`,
    );
  });

  it("are left to a template that shows them", () => {
    expect(abilities(CALLS)).toMatchObject({ takesCalls: true, takesResults: true });
    expect(prompt(CALLS, turns)).not.toContain("<call>");
    expect(prepared(CALLS, turns)[1]).not.toHaveProperty("written_calls");
  });
});

it("numbers of arguments are printed as Python prints them", () => {
  const source =
    "{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments.items() | list | length }}{{ c.function.arguments | tojson }}{% endfor %}{% endfor %}";
  const shown = (args: string) => prompt(source, [user("Go."), assistant("", call(args))]);
  const args =
    '{"a": 1.0, "b": [1e5, -0.0, 2, 2.5], "s": "1.0 \\" 1e5", "c": 1e16, "d": 0.00001, "e": 1.5e-7}';
  expect(shown(args)).toBe(
    '6{"a": 1.0, "b": [100000.0, -0.0, 2, 2.5], "s": "1.0 \\" 1e5", "c": 1e+16, "d": 1e-05, "e": 1.5e-07}',
  );
});
