import { ChatInterpreter, type Program } from "./interpreter.ts";
import { Twins } from "./twins.ts";
import { toValue } from "./values.ts";

/** What a template can be given, found by giving it to it: there is no other sign that holds for all of them. */

/** Where a template looks for what the assistant thought: fields of a message, or a part of its content. */
export type ThoughtField = "reasoning_content" | "thinking" | "reasoning" | "part";

export interface Abilities {
  /** content may be a text */
  readonly takesText: boolean;
  /** content may be a list of parts */
  readonly takesParts: boolean;
  /** arguments of a call are an object, and not JSON as text */
  readonly takesObjects: boolean;
  /** a system message at the start is shown */
  readonly takesSystem: boolean;
  /** and one further on */
  readonly takesLaterSystem: boolean;
  readonly thoughtField: ThoughtField;
  /** calls of the assistant are shown */
  readonly takesCalls: boolean;
  /** and what they returned */
  readonly takesResults: boolean;
  /** results of calls belong into the message that has the calls */
  readonly takesResponses: boolean;
}

type Json = Readonly<Record<string, unknown>>;

const MARK = "Xq7MarkOfAProbe";
const TOOL = {
  type: "function",
  function: {
    ...{ name: "probe", description: "a probe" },
    parameters: { type: "object", properties: { arg: { type: "string", description: "a text" } } },
  },
};

const user = (content: unknown): Json => ({ role: "user", content });
const assistant = (more: Json): Json => ({ role: "assistant", content: "", ...more });
const callWith = (args: unknown): Json => ({
  tool_calls: [{ id: "call00001", type: "function", function: { name: "probe", arguments: args } }],
});
const RESULT: Json = { role: "tool", tool_call_id: "call00001", content: "done" };

export function abilitiesOf(program: Program, source: string): Abilities {
  /** What the template makes of the messages; empty where it refuses them. */
  const made = (messages: readonly Json[]): string => {
    const variables = { messages, tools: [TOOL], add_generation_prompt: true, bos_token: "", eos_token: "" };
    const values = Object.entries({ ...variables, enable_thinking: true }).map(
      ([name, value]) => [name, toValue(value, Twins.NONE, (text) => text)] as const,
    );
    try {
      return new ChatInterpreter(new Map(values), Twins.NONE).write(program);
    } catch {
      return "";
    }
  };
  const shows = (messages: readonly Json[], never = /(?!)/): boolean => {
    const text = made(messages);
    const at = text.indexOf(MARK);
    return at >= 0 && !never.test(text.slice(Math.max(0, at - 40), at));
  };
  const takesResponses = /\[['"]tool_responses['"]\]/.test(source) && !/[!=]=\s*['"]tool['"]/.test(source);
  const calling = (args: unknown) => [user("Go."), assistant(callWith(args)), RESULT];
  const takesParts = shows([user([{ type: "text", text: MARK }])], /['"]type['"]/);
  return {
    takesText: shows([user(MARK)]) || !takesParts,
    takesParts,
    takesObjects: shows(calling({ arg: MARK })),
    takesSystem: shows([{ role: "system", content: MARK }, user("Go.")]),
    takesLaterSystem: shows([
      ...[user("Go."), assistant({ content: "Yes." })],
      ...[{ role: "system", content: MARK }, user("Go on.")],
    ]),
    thoughtField: thoughtField(shows),
    takesCalls: takesResponses || takesCalls(shows),
    takesResults: takesResponses || takesResults(shows),
    takesResponses,
  };
}

type Shows = (messages: readonly Json[], never?: RegExp) => boolean;

const FORMS = (value: string): readonly unknown[] => [{ arg: value }, JSON.stringify({ arg: value })];

/** With a result and without one: a template may refuse either. */
function takesCalls(shows: Shows): boolean {
  return FORMS(MARK).some((args) => {
    const call = [user("Go."), assistant(callWith(args))];
    return shows([...call, RESULT]) || shows(call) || shows([...call, user("On.")]);
  });
}

function takesResults(shows: Shows): boolean {
  const contents = [MARK, JSON.stringify({ a: MARK }), [{ type: "text", text: MARK }]];
  const before = [...FORMS("a").map((args) => callWith(args)), { content: "I call." }];
  return before.some((more) =>
    contents.some((content) => shows([user("Go."), assistant(more), { ...RESULT, content }])),
  );
}

function thoughtField(shows: Shows): ThoughtField {
  const ways: Readonly<Record<ThoughtField, Json>> = {
    reasoning_content: { reasoning_content: MARK },
    thinking: { thinking: MARK },
    reasoning: { reasoning: MARK },
    part: { content: [{ type: "thinking", thinking: MARK }] },
  };
  const found = Object.entries(ways).find(([, thought]) => {
    const withCall = [user("Go."), assistant({ ...callWith({ arg: "a" }), ...thought }), RESULT];
    const repr = /['"]type['"]/;
    return (
      shows(withCall, repr) ||
      shows([user("Go."), assistant({ content: "Yes.", ...thought }), user("On.")], repr)
    );
  });
  return (found?.[0] as ThoughtField | undefined) ?? "reasoning_content";
}
