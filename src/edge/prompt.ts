import { chatTextBy, type RenderTemplate, renderTemplate } from "../text/chat-template.ts";
import { promptUnits, type UnreadPrompt } from "../text/conversation.ts";
import { fillInPrompt } from "../text/fill-in.ts";
import { encodePrompt } from "../text/read-pieces.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { assert } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";

/** How a prompt that others wrote becomes tokens: bounded by the context before it is read, and read where it may take long. */

export interface PromptReader {
  readonly tokenizer: Tokenizer;
  readonly render: RenderTemplate;
  /** of prompt and answer, tokens */
  readonly contextTokens: number;
}

/**
 * @returns token ids, Int32Array[n]
 * @throws SettingError for more characters than the context can hold; TemplateError, PromptError
 */
export async function readPrompt(prompt: UnreadPrompt, reader: PromptReader): Promise<Int32Array> {
  const { tokenizer, contextTokens } = reader;
  // A character has a unit or more, and each unit a byte or more.
  const mostUnits = contextTokens * (tokenizer.longestTokenBytes ?? Number.POSITIVE_INFINITY);
  checkUnits(promptUnits(prompt), mostUnits, contextTokens);
  const told = prompt.kind === "text" ? prompt : await chatTextBy(reader.render, prompt, tokenizer);
  checkUnits(promptUnits(told), mostUnits, contextTokens);
  if (told.suffix !== undefined) return readFillIn(told.text, told.suffix, tokenizer);
  return tokenizer.readUntrusted?.(told) ?? encodePrompt(told, tokenizer);
}

/** @throws SettingError for a model that fills nothing in */
async function readFillIn(before: string, after: string, tokenizer: Tokenizer): Promise<Int32Array> {
  const { fillIn } = tokenizer;
  if (!fillIn) {
    const message = "the model has no tokens to fill in the middle of a text; leave suffix away";
    throw new SettingError("suffix", message);
  }
  const begin = tokenizer.addsBegin ? (tokenizer.encode("", false)[0] ?? null) : null;
  const read = async (text: string) => {
    const prompt = { kind: "text", text, special: false } as const;
    const tokens = (await tokenizer.readUntrusted?.(prompt)) ?? tokenizer.encode(text, false);
    return begin === null ? tokens : tokens.subarray(1);
  };
  return fillInPrompt(await read(before), await read(after), fillIn, begin);
}

function checkUnits(units: number, most: number, contextTokens: number): void {
  if (units <= most) return;
  const message = `the prompt has ${units} characters, and the context of ${contextTokens} tokens holds ${most} at most; shorten the prompt`;
  throw new SettingError("prompt", message);
}

/** Without another thread, such as in a browser. */
export async function onThisThread(...all: Parameters<RenderTemplate>): Promise<string> {
  return renderTemplate(...all);
}

/** A prompt as the model's chat template writes it. @throws TemplateError */
export async function promptText(
  prompt: UnreadPrompt | Int32Array,
  tokenizer: Tokenizer,
  render: RenderTemplate,
): Promise<string> {
  assert(!(prompt instanceof Int32Array), "token ids are no text");
  if (prompt.kind === "text") return prompt.text;
  return (await chatTextBy(render, prompt, tokenizer)).text;
}
