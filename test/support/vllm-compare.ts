import { expect } from "vitest";
import { MailboxClient } from "./mailbox-client.ts";
import { complete, type RealVllm, SECRET } from "./real-vllm.ts";
import { ask, engineBefore, following, together } from "./vllm-runs.ts";

/** One vLLM without the plugin and one with it, started alike: the same greedy texts, whatever is offered. */

export interface Comparison {
  readonly plain: RealVllm;
  readonly served: RealVllm;
  readonly asked: readonly (readonly number[])[];
  readonly maxTokens: number;
  readonly contextTokens: number;
  readonly atATime: number;
}

/**
 * Asks all of them alone, without drafts, with right ones and with wrong ones.
 * @returns tokens of the answers, and drafts that were accepted while right ones were offered, and wrong ones
 */
export async function compare(comparison: Comparison): Promise<{
  readonly alone: number[][];
  readonly accepted: { readonly right: number; readonly wrong: number };
}> {
  const { plain, served, asked, maxTokens, contextTokens, atATime } = comparison;
  const engine = await engineBefore(served, contextTokens);
  const client = await MailboxClient.open(served.mailbox!, SECRET);
  try {
    const room = (prompt: readonly number[]) => Math.min(maxTokens, contextTokens - prompt.length);
    const alone = await together(
      asked,
      (prompt) => complete(plain.url, { prompt, max_tokens: room(prompt), temperature: 0 }),
      atATime,
    );
    const count = async () => (await client.statistics()).offers.accepted;
    const counts = [await count()];
    for (const change of [null, 0, 7]) {
      const runs = await together(
        asked,
        (prompt, i) => {
          const asking = { prompt, maxTokens: room(prompt) };
          if (change === null) return ask(engine, asking);
          // Past the end of the answer too, where there is nothing right any more.
          const text = [...alone[i]!, ...alone[i]!].map((token) => (token + change) % 40_000);
          return ask(engine, { ...asking, drafts: following(text) });
        },
        atATime,
      );
      expect(runs.map(({ tokens }) => tokens)).toEqual(alone);
      counts.push(await count());
    }
    const { errors, invalid } = await client.statistics();
    expect({ errors, invalid }).toEqual({ errors: {}, invalid: 0 });
    const [before, without, right, wrong] = counts as [number, number, number, number];
    expect(without).toBe(before);
    return { alone, accepted: { right: right - without, wrong: wrong - right } };
  } finally {
    client.close();
    engine.close();
  }
}
