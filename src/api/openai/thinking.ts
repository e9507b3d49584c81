import type { Thinking } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { ThinkingBody } from "./schema/thinking.ts";

/** What a body says of thinking, by whatever names. A thing that is said twice has to be said the same. */

/** One of the names that something goes by, and what it says; null and undefined: nothing. */
type Named<T> = readonly [field: string, value: T | null | undefined];

/** What is said besides `ThinkingBody`. */
export interface MoreThinking {
  readonly efforts: readonly Named<string>[];
  readonly enabled?: readonly Named<boolean>[];
  readonly budgets?: readonly Named<number>[];
}

/** @throws HttpError 400 where two fields say different things */
export function thinkingOf(body: ThinkingBody, more: MoreThinking): Thinking {
  const given = body.chat_template_kwargs ?? {};
  const kwargs = (name: string): Named<unknown> => [`chat_template_kwargs.${name}`, given[name]];
  const effort = agreed([...more.efforts, kwargs("reasoning_effort")]);
  const off: Named<boolean> = [`${more.efforts[0]![0]} "none"`, effort === "none" ? false : null];
  const named: Named<unknown>[] = [["enable_thinking", body.enable_thinking], ...(more.enabled ?? [])];
  const enabled = agreed([...named, kwargs("enable_thinking"), off]);
  const budgets: Named<number>[] = [
    ["thinking_budget_tokens", body.thinking_budget_tokens],
    ["thinking_token_budget", body.thinking_token_budget],
    ...(more.budgets ?? []),
  ];
  return {
    variables: {
      ...given,
      ...(effort === null ? {} : { reasoning_effort: effort }),
      ...(enabled === null ? {} : { enable_thinking: enabled }),
    },
    budgetTokens: agreed(budgets),
  };
}

/** @returns null: no field says anything @throws HttpError 400 */
function agreed<T>(fields: readonly Named<T>[]): T | null {
  const given = fields.filter(([, value]) => value !== null && value !== undefined);
  const [first] = given;
  if (!first) return null;
  const other = given.find(([, value]) => value !== first[1]);
  if (other) {
    const message = `${first[0]} and ${other[0]} say different things: send one of the two`;
    throw new HttpError(400, "invalid_value", message, other[0].replace(/ .*/, ""));
  }
  return first[1] as T;
}
