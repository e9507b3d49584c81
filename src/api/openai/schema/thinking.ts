import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";

/** Whether the model thinks, for how long at most, and what else its template takes: of OpenAI and of other servers. */

export const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;

const thinkingTokens = z.number().int().min(1).max(SESSION_ROWS.maxTokens.range.most);

export const thinkingFields = {
  enable_thinking: z.boolean().nullish(),
  thinking_budget_tokens: thinkingTokens.nullish(),
  thinking_token_budget: thinkingTokens.nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
};

const thinkingSchema = z.object(thinkingFields);
export type ThinkingBody = z.infer<typeof thinkingSchema>;
