import { promptText } from "../text/chat-template.ts";
import { promptUnits, type UnreadPrompt } from "../text/conversation.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { SettingError } from "../util/errors.ts";

/** How a prompt that others wrote becomes tokens: bounded by the context before it is read, and read where it may take long. */

/**
 * @returns token ids, Int32Array[n]
 * @throws SettingError for more characters than the context can hold; TemplateError, PromptError
 */
export async function readPrompt(
  prompt: UnreadPrompt,
  tokenizer: Tokenizer,
  contextTokens: number,
): Promise<Int32Array> {
  const mostUnits = contextTokens * (tokenizer.longestTokenBytes ?? Number.POSITIVE_INFINITY);
  // A character has a unit or more, and each unit a byte or more; a template may drop tools and calls.
  const texts = prompt.kind === "text" ? prompt : { ...prompt, tools: [] };
  checkUnits(promptUnits(texts), mostUnits, contextTokens);
  if (tokenizer.readUntrusted) return tokenizer.readUntrusted(prompt);
  const { text, special } = promptText(prompt, tokenizer);
  checkUnits(text.length, mostUnits, contextTokens);
  return tokenizer.encode(text, special);
}

function checkUnits(units: number, most: number, contextTokens: number): void {
  if (units <= most) return;
  const message = `the prompt has ${units} characters, and the context of ${contextTokens} tokens holds ${most} at most; shorten the prompt`;
  throw new SettingError("prompt", message);
}
