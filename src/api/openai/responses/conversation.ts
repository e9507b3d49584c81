import type { AnswerFormat, Conversation, ToolUse } from "../../conversation.ts";
import { HttpError } from "../../errors.ts";
import { present } from "../format.ts";
import { samplingOf } from "../sampling.ts";
import { maxTokensOf } from "../schema/common.ts";
import { thinkingOf } from "../thinking.ts";
import type { Item } from "./item-schema.ts";
import { messagesOf } from "./items.ts";
import type { ResponseBody } from "./schema.ts";
import { type ResponseTools, shownName } from "./tools.ts";

/**
 * A request for a response as a conversation.
 * @param earlier items of the responses that it goes on from
 * @param items of its own
 * @throws HttpError 400, SettingError
 */
export function responseConversation(
  body: ResponseBody,
  earlier: readonly Item[],
  items: readonly Item[],
  { callable }: ResponseTools,
): Conversation {
  const fieldOf = (index: number) =>
    index < earlier.length ? "previous_response_id" : `input.${index - earlier.length}`;
  const messages = messagesOf(body.instructions, [...earlier, ...items], fieldOf);
  if (messages.length === 0) {
    throw new HttpError(400, "invalid_value", "input: must have 1 or more entries", "input");
  }
  const wantsLogprobs = present(body.top_logprobs) || body.include?.includes(LOGPROBS);
  return {
    model: body.model ?? undefined,
    prompts: [messages],
    choices: 1,
    ...{ special: false, suffix: null },
    tools: callable,
    toolUse: toolUseOf(body),
    thinking: thinkingOf(body, { efforts: [["reasoning.effort", body.reasoning?.effort]] }),
    // In this API an answer is a message of its own, whatever came before it.
    continues: false,
    format: formatOf(body),
    logprobs: wantsLogprobs ? (body.top_logprobs ?? 0) : null,
    sampling: samplingOf(body, maxTokensOf(undefined, body.max_output_tokens)),
  };
}

const LOGPROBS = "message.output_text.logprobs";

function toolUseOf(body: ResponseBody): ToolUse {
  const { tool_choice: choice } = body;
  const parallel = body.parallel_tool_calls ?? true;
  if (!present(choice)) return { mode: "auto", allowed: null, parallel };
  if (typeof choice === "string") return { mode: choice, allowed: null, parallel };
  if (choice.type === "allowed_tools") {
    const allowed = choice.tools.map(({ name, namespace }) => shownName(name, namespace));
    return { mode: choice.mode, allowed, parallel };
  }
  return { mode: "required", allowed: [shownName(choice.name, choice.namespace)], parallel: false };
}

const FORMAT = "text.format";

function formatOf({ text }: ResponseBody): AnswerFormat | null {
  const format = text?.format;
  if (!format || format.type === "text") return null;
  if (format.type === "json_object")
    return { kind: "schema", schema: { type: "object" }, relaxes: false, param: FORMAT };
  return { kind: "schema", schema: format.schema, relaxes: format.strict === false, param: FORMAT };
}
