import type { Face } from "./face.ts";
import { LlamaServer } from "./llama-server/endpoint.ts";
import { Ollama, type OllamaOptions } from "./ollama/endpoint.ts";
import { chatConversation } from "./openai/chat.ts";
import { OpenAi, type OpenAiOptions } from "./openai/endpoint.ts";
import { parseChat } from "./openai/schema/chat.ts";

/** What faces need. */
export type FacesOptions = OpenAiOptions & OllamaOptions;

/** All protocols that this endpoint speaks. The first is its own: errors of no protocol are told in its way. */
export function facesOf(options: FacesOptions): Face[] {
  const { answers } = options;
  return [
    new OpenAi(options),
    new Ollama(options),
    new LlamaServer({
      answers,
      conversationOf: (body, ignored) => chatConversation(parseChat(body, ignored)),
    }),
  ];
}
