import type { Grammar } from "../decoding/grammar.ts";
import type { DecodingPolicy } from "../decoding/policy.ts";
import type { AnswerEnd, AnsweredToken } from "../edge/edge.ts";
import type { SamplerSettings } from "../sampling/settings.ts";
import type { ChatMessage, ChatTool } from "../text/conversation.ts";

/**
 * What clients ask and hear, whatever protocol they speak. A face of the endpoint checks a request by its schema, makes a
 * `Conversation` of it, and writes the events of the answer as its protocol has them, whole or as they come.
 */

/** One request. */
export interface Conversation {
  /** undefined: the default model */
  readonly model: string | undefined;
  /** each is answered `choices` times; choices of the first come first */
  readonly prompts: readonly ConversationPrompt[];
  readonly choices: number;
  /** of prompts that are text: what reads like a special token is that token */
  readonly special: boolean;
  /** of prompts that are text: what follows the answer; null: nothing */
  readonly suffix: string | null;
  readonly tools: readonly CallableTool[];
  readonly toolUse: ToolUse;
  readonly thinking: Thinking;
  /** the last message is the assistant's, and the answer goes on with it */
  readonly continues: boolean;
  /** null: the answer is free */
  readonly format: AnswerFormat | null;
  /** how many of the likeliest tokens come with each token; null: no logprobs */
  readonly logprobs: number | null;
  readonly sampling: Sampling;
}

/** Messages through the model's chat template; text as it is; or token ids. */
export type ConversationPrompt = readonly ChatMessage[] | string | Int32Array;

export interface Sampling {
  readonly sampler: Partial<SamplerSettings>;
  /** of the first choice, the next one has the next; null: fresh ones */
  readonly seed: number | null;
  readonly stop: readonly string[];
  /** undefined: as many as the context has room for */
  readonly maxTokens: number | undefined;
  /** undefined: the edge's own */
  readonly policy: DecodingPolicy | undefined;
}

/** A tool that may be called. */
export interface CallableTool extends ChatTool {
  /** the field of its parameters */
  readonly param: string;
  /** its parameters are kept to the letter, or the request is refused */
  readonly strict: boolean;
}

/** How the model may use tools. */
export interface ToolUse {
  readonly mode: "none" | "auto" | "required";
  /** names of the only ones that may be called; null: all */
  readonly allowed: readonly string[] | null;
  /** more than one call in an answer */
  readonly parallel: boolean;
}

export interface Thinking {
  /** for the chat template, such as `enable_thinking`: whether and how much the model thinks is the template's to say */
  readonly variables: Readonly<Record<string, unknown>>;
  /** a thought is ended after so many tokens; null: never */
  readonly budgetTokens: number | null;
}

/** What an answer has to look like. */
export type AnswerFormat =
  | { readonly kind: "grammar"; readonly grammar: Grammar; readonly param: string }
  | {
      readonly kind: "schema";
      readonly schema: unknown;
      /** a keyword that cannot be kept may be dropped, and the client is told */
      readonly relaxes: boolean;
      /** the field that asked for it */
      readonly param: string;
    };

/** What an answer says, in order. An answer that fails throws in place of its end. */
export type ConversationEvent = { readonly choice: number } & (
  | {
      readonly kind: "text";
      /** may be "" where tokens said nothing of the text */
      readonly text: string;
      readonly tokens: readonly AnsweredToken[];
    }
  /** What the model thinks before it says something, and for itself. */
  | { readonly kind: "reasoning"; readonly text: string; readonly tokens: readonly AnsweredToken[] }
  /** A call of a tool begins. */
  | {
      readonly kind: "call";
      /** as the model wrote it; null: it wrote none */
      readonly id: string | null;
      /** counts the calls of this choice, from 0 */
      readonly call: number;
      readonly name: string;
    }
  /** More of a call's arguments: all of them together are JSON. */
  | { readonly kind: "arguments"; readonly call: number; readonly text: string }
  /** Once for each choice, last. */
  | { readonly kind: "end"; readonly end: ChoiceEnd }
);

export interface ChoiceEnd extends AnswerEnd {
  /** tokens of thoughts, among those of the answer */
  readonly reasoningTokens: number;
}
