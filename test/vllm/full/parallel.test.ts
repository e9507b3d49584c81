import { afterAll, beforeAll, expect, it } from "vitest";
import { prompts, type RealVllm, startVllm } from "../../support/real-vllm.ts";
import { compare } from "../../support/vllm-compare.ts";

/** Tensor parallelism: three processes have three of the model's nine heads each, and one of them proposes. */

const THREE = ["--tensor-parallel-size", "3"];
const TOKENS = 32;

let plain: RealVllm;
let served: RealVllm;

beforeAll(async () => {
  // One after the other: six processes that compile at once take longer than three twice.
  plain = await startVllm(false, THREE);
  served = await startVllm(true, [...THREE, "--enable-scale-out"]);
});
afterAll(async () => {
  await Promise.all([plain?.stop(), served?.stop()]);
});

it("texts are those of the same three without drafts, and drafts are used", async () => {
  const asked = await prompts(plain.url, 4);
  const sizes = { maxTokens: TOKENS, contextTokens: 2048, atATime: 4 };
  const { alone, accepted } = await compare({ plain, served, asked, ...sizes });
  expect(accepted.right).toBeGreaterThan(alone.flat().length / 2);
  expect(accepted.wrong).toBeLessThan(accepted.right / 10);
});
