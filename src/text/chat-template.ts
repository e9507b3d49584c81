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

/** The model's template does not take these messages. */
export class TemplateError extends PicoSpecError {
  override readonly name = "TemplateError";
}

/**
 * The prompt of a conversation, ready for the assistant to go on, by the target's own Jinja template.
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
  if (template === null) {
    return tokenizer.encode(messages.map((message) => message.content).join("\n"), false);
  }
  let text: string;
  try {
    text = new Template(template).render({
      messages: messages.map((message) => ({ ...message })),
      ...(tools.length > 0 ? { tools } : {}),
      add_generation_prompt: true,
      bos_token: tokenizer.beginText,
      eos_token: tokenizer.endText,
    });
  } catch (error) {
    const message = `the model's chat template failed: ${messageOf(error)}; try --raw to send the prompt as it is`;
    throw new TemplateError("template", message, { cause: error });
  }
  // Many templates write the begin token that the tokenizer adds as well: it must not be there twice.
  const { beginText, addsBegin } = tokenizer;
  if (addsBegin && beginText !== "" && text.startsWith(beginText)) text = text.slice(beginText.length);
  return tokenizer.encode(text, true);
}
