import { readFileSync } from "node:fs";
import type { ChatMessage, ChatTool } from "../../../src/text/conversation.ts";

/** The conversations of scripts/chat-references.mjs, as ours and as OpenAI's API has them. */

interface ApiMessage extends Omit<ChatMessage, "content" | "parts"> {
  readonly content: string | readonly { readonly text: string }[];
}

interface ApiConversation {
  readonly name: string;
  readonly messages: readonly ApiMessage[];
  readonly tools?: readonly ChatTool[];
}

export interface Conversation {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ChatTool[];
}

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), "utf8"));

const API_CONVERSATIONS: readonly ApiConversation[] = read("conversations.json");

export const CONVERSATIONS: readonly Conversation[] = API_CONVERSATIONS.map(
  ({ name, messages, tools = [] }) => ({
    ...{ name, tools },
    messages: messages.map(({ content, ...rest }): ChatMessage => {
      if (typeof content === "string") return { ...rest, content };
      const parts = content.map(({ text }) => text);
      return { ...rest, content: parts.join("\n"), parts };
    }),
  }),
);

/** By template, of each conversation: the hash of what llama.cpp renders, or "refused". */
export const RENDERINGS: Readonly<Record<string, readonly string[]>> = read("renderings.json");
