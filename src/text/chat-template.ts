import { Template } from "@huggingface/jinja";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import type { ChatMessage, ChatTool, UnreadPrompt } from "./conversation.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The model's template does not take these messages. */
export class TemplateError extends PicoSpecError {
  override readonly name = "TemplateError";
}

/**
 * A prompt as text, of a conversation ready for the assistant to go on.
 * @throws TemplateError when the template itself refuses
 */
export function promptText(
  prompt: UnreadPrompt,
  { beginText, endText, addsBegin }: Pick<Tokenizer, "beginText" | "endText" | "addsBegin">,
): Extract<UnreadPrompt, { kind: "text" }> {
  if (prompt.kind === "text") return prompt;
  const { template, messages, tools } = prompt;
  if (template === null) {
    const text = messages.map((message) => message.content).join("\n");
    return { kind: "text", text, special: false };
  }
  let text: string;
  try {
    text = new Template(template).render({
      messages: messages.map((message) => ({ ...message })),
      ...(tools.length > 0 ? { tools } : {}),
      add_generation_prompt: true,
      bos_token: beginText,
      eos_token: endText,
    });
  } catch (error) {
    const message = `the model's chat template failed: ${messageOf(error)}; try --raw to send the prompt as it is`;
    throw new TemplateError("template", message, { cause: error });
  }
  // Many templates write the begin token that the tokenizer adds as well: it must not be there twice.
  if (addsBegin && beginText !== "" && text.startsWith(beginText)) text = text.slice(beginText.length);
  return { kind: "text", text, special: true };
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
  const { text, special } = promptText({ kind: "chat", template, messages, tools }, tokenizer);
  return tokenizer.encode(text, special);
}
