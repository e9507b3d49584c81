import { messageOf, PicoSpecError } from "../util/errors.ts";
import type { ChatMessage, ChatTool, PromptText, UnreadChat } from "./conversation.ts";
import { encodePrompt } from "./read-pieces.ts";
import { withWrittenCalls } from "./templates/fallback.ts";
import { marksFor, unmarked } from "./templates/marks.ts";
import { rendered, type TemplateVariables } from "./templates/render.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The model's template does not take these messages, or costs too much. */
export class TemplateError extends PicoSpecError {
  override readonly name = "TemplateError";
}

export function templateError(reason: string, cause?: unknown): TemplateError {
  const message = `the model's chat template failed: ${reason}; try --raw to send the prompt as it is`;
  return new TemplateError("template", message, { cause });
}

/**
 * Renders Jinja source. A template is a program of the one who made the model file, or of a cloud: where it can loop or
 * grow without harm is up to the machine. @throws TemplateError
 */
export type RenderTemplate = (source: string, variables: TemplateVariables) => Promise<string>;

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
    text = rendered(source, variables);
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
  if (template === null) return encodePrompt(plainText(messages), tokenizer);
  const variables = variablesOf({ kind: "chat", template, messages, tools }, tokenizer);
  const shown = renderTemplate(template, variables);
  return encodePrompt(renderedText(shown, variables, tokenizer), tokenizer);
}

type Texts = Pick<Tokenizer, "beginText" | "endText" | "addsBegin" | "controls">;

/** A conversation as text, ready for the assistant to go on. @throws TemplateError */
export async function chatTextBy(
  render: RenderTemplate,
  chat: UnreadChat,
  tokenizer: Texts,
): Promise<PromptText> {
  if (chat.template === null) return plainText(chat.messages);
  const variables = variablesOf(chat, tokenizer);
  return renderedText(await render(chat.template, variables), variables, tokenizer);
}

/** What is done where a model has no chat template, for who starts it. */
export const NO_TEMPLATE =
  "the model has no chat template: messages are sent as their texts, a line each; take an instruction-tuned file for chats";

function plainText(messages: readonly ChatMessage[]): PromptText {
  return { kind: "text", text: messages.map(withWrittenCalls).join("\n"), special: false };
}

function variablesOf(chat: UnreadChat, tokenizer: Texts): TemplateVariables {
  const { template, messages, tools, variables: more = {}, continues = false } = chat;
  const twins = marksFor(tokenizer.controls, JSON.stringify([template, messages, tools, more]));
  return {
    messages: messages.map((message) => ({ ...message })),
    ...(tools.length > 0 ? { tools } : {}),
    add_generation_prompt: true,
    bos_token: tokenizer.beginText,
    eos_token: tokenizer.endText,
    more,
    continues,
    ...(twins ? { twins } : {}),
  };
}

/** Many templates write the begin token that the tokenizer adds as well: it must not be there twice. */
function renderedText(shown: string, { twins }: TemplateVariables, tokenizer: Texts): PromptText {
  const { beginText, addsBegin, controls } = tokenizer;
  const twice = addsBegin && beginText !== "" && shown.startsWith(beginText);
  const once = twice ? shown.slice(beginText.length) : shown;
  const text = twins && controls ? unmarked(once, twins, controls) : { text: once };
  return { kind: "text", special: true, ...text };
}
