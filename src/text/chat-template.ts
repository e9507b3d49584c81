import { Template } from "@huggingface/jinja";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A message in the form of OpenAI's API, which chat templates read as it is. */
export interface ChatMessage {
  /** `tool`: what a tool that was called returned */
  readonly role: "system" | "user" | "assistant" | "tool";
  readonly content: string;
  /** tools that the assistant calls */
  readonly tool_calls?: readonly ToolCall[];
  /** of the call that a message of a tool answers */
  readonly tool_call_id?: string;
}

export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  /** arguments: JSON as text */
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A tool that the model may call. */
export interface ChatTool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** a JSON Schema */
    readonly parameters?: unknown;
  };
}

/** The model's template does not take these messages, or costs too much. */
export class TemplateError extends PicoSpecError {
  override readonly name = "TemplateError";
}

export function templateError(reason: string, cause?: unknown): TemplateError {
  const message = `the model's chat template failed: ${reason}; try --raw to send the prompt as it is`;
  return new TemplateError("template", message, { cause });
}

/** What a template reads. */
export interface TemplateVariables {
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly ChatTool[];
  readonly add_generation_prompt: boolean;
  readonly bos_token: string;
  readonly eos_token: string;
}

/**
 * Renders Jinja source. A template is a program of the one who made the model file, or of a cloud: where it can loop or
 * grow without harm is up to the machine. @throws TemplateError
 */
export type RenderTemplate = (source: string, variables: TemplateVariables) => Promise<string>;

/** Of all templates that this thread or process renders: it mostly meets one. */
const compiled = new Map<string, Template>();
const MOST_COMPILED = 4;

function compile(source: string): Template {
  const known = compiled.get(source);
  if (known) return known;
  const template = new Template(source);
  if (compiled.size === MOST_COMPILED) compiled.delete(compiled.keys().next().value!);
  compiled.set(source, template);
  return template;
}

/**
 * Renders on this thread, which a template that loops would keep for ever.
 * @param mostCharacters of the result
 * @throws TemplateError
 */
export function renderTemplate(
  source: string,
  variables: TemplateVariables,
  mostCharacters = Number.POSITIVE_INFINITY,
): string {
  let text: string;
  try {
    text = compile(source).render({ ...variables });
  } catch (error) {
    throw templateError(messageOf(error), error);
  }
  if (text.length > mostCharacters) throw templateError(`it made ${text.length} characters`);
  return text;
}

/**
 * The prompt of a conversation, ready for the assistant to go on, by the target's own Jinja template. It is rendered on
 * this thread, so the template has to be one that is trusted: an `Edge` renders others where they can be stopped.
 * @param template Jinja source as the GGUF holds it; null: the messages' texts, a line each
 * @param tools for the template to show; one that knows nothing of tools leaves them out
 * @returns token ids, Int32Array[n]
 * @throws TemplateError when the template itself refuses
 * @example
 * import { chatPrompt, LlamaModel, LlamaTokenizer } from "picospec";
 *
 * const model = await LlamaModel.load("small.gguf", { vocabularyOnly: true });
 * const messages = [{ role: "user", content: "Why is the sky blue?" }] as const;
 * const tokens = chatPrompt(model.file.chatTemplate, messages, new LlamaTokenizer(model));
 * console.log(tokens.length);
 */
export function chatPrompt(
  template: string | null,
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
  tools: readonly ChatTool[] = [],
): Int32Array {
  if (template === null) return plainPrompt(messages, tokenizer);
  return renderedPrompt(renderTemplate(template, variablesOf(messages, tokenizer, tools)), tokenizer);
}

/** `chatPrompt`, with the template rendered elsewhere. @throws TemplateError */
export async function chatPromptBy(
  render: RenderTemplate,
  template: string | null,
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
  tools: readonly ChatTool[],
): Promise<Int32Array> {
  if (template === null) return plainPrompt(messages, tokenizer);
  return renderedPrompt(await render(template, variablesOf(messages, tokenizer, tools)), tokenizer);
}

function plainPrompt(messages: readonly ChatMessage[], tokenizer: Tokenizer): Int32Array {
  return tokenizer.encode(messages.map((message) => message.content).join("\n"), false);
}

function variablesOf(
  messages: readonly ChatMessage[],
  tokenizer: Tokenizer,
  tools: readonly ChatTool[],
): TemplateVariables {
  return {
    messages: messages.map((message) => ({ ...message })),
    ...(tools.length > 0 ? { tools } : {}),
    add_generation_prompt: true,
    bos_token: tokenizer.beginText,
    eos_token: tokenizer.endText,
  };
}

/** Many templates write the begin token that the tokenizer adds as well: it must not be there twice. */
function renderedPrompt(text: string, tokenizer: Tokenizer): Int32Array {
  const { beginText, addsBegin } = tokenizer;
  const twice = addsBegin && beginText !== "" && text.startsWith(beginText);
  return tokenizer.encode(twice ? text.slice(beginText.length) : text, true);
}
