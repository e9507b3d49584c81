import { describe, expect, it } from "vitest";
import type { Edge } from "../../src/edge/edge.ts";
import { benchVllm, type VllmWay } from "./real-vllm.ts";
import { vllmCounters } from "./vllm-counters.ts";

/** As vLLM 0.32 prints them. */
function metrics(
  steps: number,
  tokens: number,
  drafts?: readonly [proposed: number, accepted: number],
): string {
  const label = '{engine="0",model_name="smollm2"}';
  const speculation = drafts
    ? [
        `vllm:spec_decode_num_draft_tokens_total${label} ${drafts[0]}.0`,
        `vllm:spec_decode_num_draft_tokens_created${label} 1.79e+09`,
        `vllm:spec_decode_num_accepted_tokens_total${label} ${drafts[1]}.0`,
        `vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",position="0"} 99.0`,
      ]
    : [];
  return [
    "# HELP vllm:generation_tokens_total Number of generation tokens processed.",
    `vllm:generation_tokens_total${label} ${tokens}.0`,
    `vllm:iteration_tokens_total_count${label} ${steps}`,
    `vllm:iteration_tokens_total_sum${label} 999.0`,
    ...speculation,
  ].join("\n");
}

describe("what a vLLM server counted", () => {
  it("is read, with drafts and without, of all engine processes together", () => {
    const none = { steps: 7, tokens: 9, drafts: 0, accepted: 0 };
    expect(vllmCounters(metrics(7, 9))).toEqual(none);
    const both = `${metrics(7, 30, [40, 23])}\n${metrics(1, 2, [3, 1])}`;
    expect(vllmCounters(both)).toEqual({ steps: 8, tokens: 32, drafts: 43, accepted: 24 });
  });

  it("is missed, and the error says what to do", () => {
    expect(() => vllmCounters("up 1")).toThrow("start vLLM without --disable-log-stats");
  });
});

describe("vLLM in turns", () => {
  it("compares with the plain server, and counts what came behind the warm-up", async () => {
    const counted = { plain: [0, 0], plugin: [0, 0] };
    const asked: string[] = [];
    const way = (server: "plain" | "plugin", perStep: number): VllmWay => ({
      ...{
        server,
        policy: server === "plain" ? "cloud" : "race",
        drafter: server === "plain" ? null : "full",
      },
      edge: {
        ask: async ({ maxTokens }: { maxTokens: number }) => {
          asked.push(`${server} ${maxTokens}`);
          counted[server][0]! += maxTokens / perStep;
          counted[server][1]! += maxTokens;
          return { tokens: Array.from({ length: maxTokens }, (_, token) => ({ token })) };
        },
      } as unknown as Edge,
      metrics: async () => metrics(counted[server][0]!, counted[server][1]!),
    });
    const ways = [way("plain", 1), way("plugin", 4)];
    const options = { ways, prompts: ["a", "b"], rounds: 2, maxTokens: 20, progress: () => {} };
    const [plain, race] = await benchVllm(options);
    expect(asked.slice(0, 6)).toEqual([
      "plain 20",
      "plugin 20",
      "plain 1",
      "plain 20",
      "plugin 1",
      "plugin 20",
    ]);
    expect(plain).toMatchObject({ tokensPerStep: 1, sameText: 2, answers: 2, overNgram: null });
    expect(race).toMatchObject({ tokensPerStep: 4, sameText: 2, accepted: null, drafter: "full" });
  });
});
