import type { ChatMessage, ChatTool } from "../conversation.ts";
import { type Abilities, abilitiesOf } from "./abilities.ts";
import { dateText } from "./dates.ts";
import { ChatInterpreter, type Program, parseTemplate } from "./interpreter.ts";
import { preparedMessages } from "./prepare.ts";
import { Twins } from "./twins.ts";
import { list, toValue, type Value } from "./values.ts";

/** What a template reads. Plain data: it may go to another process as JSON. */
export interface TemplateVariables {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ChatTool[];
  readonly add_generation_prompt: boolean;
  readonly bos_token: string;
  readonly eos_token: string;
  /** more of them, such as `enable_thinking` (default: true) or `reasoning_effort` */
  readonly more?: Readonly<Record<string, unknown>>;
  /** the last message is the assistant's, and the model goes on with it */
  readonly continues?: boolean;
  /** what others wrote comes out in these characters' twins: see twins.ts */
  readonly twins?: { readonly characters: string; readonly base: number };
}

interface Compiled {
  readonly program: Program;
  readonly abilities: Abilities;
}

/** Of all templates that this thread or process renders: it mostly meets one. */
const compiled = new Map<string, Compiled>();
const MOST_COMPILED = 4;

function compile(source: string): Compiled {
  const known = compiled.get(source);
  if (known) return known;
  const program = parseTemplate(source);
  const made = { program, abilities: abilitiesOf(program, source) };
  if (compiled.size === MOST_COMPILED) compiled.delete(compiled.keys().next().value!);
  compiled.set(source, made);
  return made;
}

/** @returns with twins, where there are any @throws Error for what the template refuses, or is no template */
export function rendered(source: string, variables: TemplateVariables): string {
  const { program, abilities } = compile(source);
  const { messages, twins: marks, continues = false } = variables;
  const twins = marks === undefined ? Twins.NONE : new Twins(marks.characters, marks.base);
  const last = messages.at(-1);
  const isTheirs = continues && last?.role === "assistant";
  const goesOn = isTheirs && last.content.trim() !== "";
  const shown = isTheirs && !goesOn ? messages.slice(0, -1) : messages;
  const values = valuesOf({ ...variables, messages: shown }, abilities, twins, !goesOn);
  const text = new ChatInterpreter(values, twins).write(program);
  return goesOn ? upTo(text, twins.twinned(last.content.trim())) : text;
}

/** The text until the end of what the assistant said last. @throws Error */
function upTo(text: string, said: string): string {
  const at = text.lastIndexOf(said);
  if (at < 0)
    throw new Error("it does not show the assistant's last message as it is, so that it cannot be continued");
  return text.slice(0, at + said.length);
}

/** Names that a request does not set. */
const OURS = ["messages", "tools", "add_generation_prompt", "bos_token", "eos_token"];

function valuesOf(
  { messages, tools, bos_token, eos_token, add_generation_prompt, more = {} }: TemplateVariables,
  abilities: Abilities,
  twins: Twins,
  asks: boolean,
): Map<string, Value> {
  const own = (value: unknown) => toValue(value, twins, (text) => text);
  const theirs = (value: unknown) => toValue(value, twins, (text) => twins.twinned(text));
  const shown = preparedMessages(messages, abilities).map((message) => {
    const value = theirs(message);
    // Templates make tokens of roles.
    if (/^[a-z]+$/.test(String(message.role)))
      (value.value as Map<string, Value>).set("role", own(message.role));
    return value;
  });
  const values = new Map<string, Value>([
    ["messages", list(shown)],
    ["tools", tools === undefined || tools.length === 0 ? own(null) : theirs(tools)],
    ["bos_token", own(bos_token)],
    ["eos_token", own(eos_token)],
    ["enable_thinking", own(true)],
    ["date_string", own(dateText("%d %b %Y"))],
    ["datetime", own(dateText("%b %d %Y"))],
  ]);
  if (asks && add_generation_prompt) values.set("add_generation_prompt", own(true));
  for (const [name, value] of Object.entries(more)) if (!OURS.includes(name)) values.set(name, theirs(value));
  return values;
}
