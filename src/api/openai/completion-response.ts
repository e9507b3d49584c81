import type { Tokenizer } from "../../text/tokenizer.ts";
import type { WholeChoice } from "../choices.ts";
import type { ChoiceEnd, ConversationEvent } from "../conversation.ts";
import { fingerprintOf, type ResponseHead } from "./chat-response.ts";
import { plainLogprobs } from "./logprobs.ts";
import { finishReason, timingsOf, usageOf } from "./usage.ts";

/** Plain completions as OpenAI's API answers them. */

export interface CompletionShape {
  readonly tokenizer: Tokenizer;
  /** how many of the likeliest tokens were asked for; null: no logprobs */
  readonly logprobs: number | null;
  /** choices come prompt by prompt, so many of each */
  readonly choicesPerPrompt: number;
  /** texts of the prompts, which answers begin with; null: they do not */
  readonly echoed: readonly string[] | null;
}

/** What a choice begins with. */
function echoOf(index: number, { echoed, choicesPerPrompt }: CompletionShape): string {
  return echoed?.[Math.floor(index / choicesPerPrompt)] ?? "";
}

/** Text of a prompt as the tokenizer has it. */
export function promptText(prompt: string | Int32Array, tokenizer: Tokenizer): string {
  if (typeof prompt === "string") return prompt;
  const decoder = new TextDecoder();
  const texts = Array.from(
    prompt,
    (token) =>
      decoder.decode(tokenizer.piece(token), { stream: true }) + (tokenizer.specialText?.(token) ?? ""),
  );
  return texts.join("") + decoder.decode();
}

export function completion(
  head: ResponseHead,
  choices: readonly WholeChoice[],
  shape: CompletionShape,
): unknown {
  const ends = choices.map(({ end }) => end);
  return {
    ...{ id: head.id, object: "text_completion", created: head.created, model: head.model },
    ...fingerprintOf(head),
    choices: choices.map(({ text, tokens, end }, index) => ({
      index,
      text: echoOf(index, shape) + text,
      logprobs: shape.logprobs === null ? null : plainLogprobs(tokens, shape.tokenizer, 0, shape.logprobs),
      finish_reason: finishReason(end, null),
    })),
    usage: usageOf(ends, shape.choicesPerPrompt),
    timings: timingsOf(ends[0]!),
  };
}

export async function* completionChunks(
  head: ResponseHead,
  count: number,
  events: AsyncIterable<ConversationEvent>,
  includeUsage: boolean,
  shape: CompletionShape,
): AsyncGenerator<unknown, void, undefined> {
  const offsets = new Array<number>(count).fill(0);
  const ends = new Array<ChoiceEnd>(count);
  const chunk = (choices: unknown[], more: object = {}) => ({
    ...{ id: head.id, object: "text_completion", created: head.created, model: head.model, choices },
    ...fingerprintOf(head),
    ...(includeUsage ? { usage: null } : {}),
    ...more,
  });
  for (let index = 0; index < count && shape.echoed; index++) {
    yield chunk([{ index, text: echoOf(index, shape), logprobs: null, finish_reason: null }]);
  }
  for await (const event of events) {
    const index = event.choice;
    if (event.kind === "end") {
      ends[index] = event.end;
      const last = { index, text: "", logprobs: null, finish_reason: finishReason(event.end, null) };
      yield chunk([last], { timings: timingsOf(event.end) });
      continue;
    }
    if (event.kind !== "text") continue;
    const { text, tokens } = event;
    if (text === "" && (shape.logprobs === null || tokens.length === 0)) continue;
    const logprobs =
      shape.logprobs === null
        ? null
        : plainLogprobs(tokens, shape.tokenizer, offsets[index]!, shape.logprobs);
    offsets[index]! += text.length;
    yield chunk([{ index, text, logprobs, finish_reason: null }]);
  }
  if (includeUsage) yield chunk([], { usage: usageOf(ends, shape.choicesPerPrompt) });
}
