import type { ChatMessage } from "../../text/conversation.ts";
import type { Conversation } from "../conversation.ts";
import { answerOf } from "./sampling.ts";
import type { GenerateBody } from "./schema/generate.ts";

/** A question as a conversation: the user's message, or text as it is. @param model as it is called here; undefined: the default */
export function generateConversation(body: GenerateBody, model: string | undefined): Conversation {
  const prompt = body.prompt ?? "";
  const plain = body.raw || body.suffix;
  return {
    model,
    prompts: [plain ? prompt : messagesOf(prompt, body.system)],
    special: body.raw ?? false,
    suffix: body.suffix || null,
    tools: [],
    toolUse: { mode: "none", allowed: null, parallel: true },
    continues: false,
    ...answerOf(body),
  };
}

function messagesOf(prompt: string, system: string | null | undefined): ChatMessage[] {
  const said: ChatMessage[] = system ? [{ role: "system", content: system }] : [];
  return [...said, { role: "user", content: prompt }];
}
