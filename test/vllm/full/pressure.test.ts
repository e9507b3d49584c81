import { afterEach, expect, it } from "vitest";
import { prompts, type RealVllm, startTogether, startVllm } from "../../support/real-vllm.ts";
import { compare } from "../../support/vllm-compare.ts";
import { metric } from "../../support/vllm-runs.ts";

/** Where vLLM cuts prompts in parts, takes rows back, or ends them at the context: the texts are its own. */

const servers: RealVllm[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

/** One without the plugin and one with it. */
async function both(...args: string[]): Promise<{ plain: RealVllm; served: RealVllm }> {
  const [plain, served] = (await startTogether([
    startVllm(false, args),
    startVllm(true, [...args, "--enable-scale-out"]),
  ])) as [RealVllm, RealVllm];
  servers.push(plain, served);
  return { plain, served };
}

it("with prompts that are read in parts of 64 tokens beside rows that decode", async () => {
  const { plain, served } = await both("--max-num-batched-tokens", "64", "--max-num-seqs", "4");
  const short = await prompts(plain.url, 8);
  // Every other one is read in six parts and more.
  const asked = short.map((prompt, i) =>
    i % 2 === 0 ? prompt : (Array(12).fill(prompt).flat() as number[]),
  );
  expect(Math.min(...asked.filter((_, i) => i % 2).map(({ length }) => length))).toBeGreaterThan(6 * 64);
  const sizes = { maxTokens: 32, contextTokens: 2048, atATime: 4 };
  const { alone, accepted } = await compare({ plain, served, asked, ...sizes });
  expect(accepted.right).toBeGreaterThan(alone.flat().length / 3);
  expect(accepted.wrong).toBeLessThan(accepted.right / 10);
});

it("with a KV cache that is too small for the rows, which are preempted", async () => {
  // Of 128 tokens each, and one is vLLM's own; six rows run at a time, and each needs two as soon as its story is so long.
  const { plain, served } = await both("--num-gpu-blocks-override", "9", "--max-model-len", "512");
  const asked = await prompts(plain.url, 6);
  const sizes = { maxTokens: 160, contextTokens: 512, atATime: 6 };
  const before = await metric(served, "num_preemptions_total");
  const { alone, accepted } = await compare({ plain, served, asked, ...sizes });
  expect((await metric(served, "num_preemptions_total")) - before).toBeGreaterThan(0);
  expect(accepted.right).toBeGreaterThan(alone.flat().length / 3);
  expect(accepted.wrong).toBeLessThan(accepted.right / 10);
});

it("near the end of the context, where fewer tokens fit than a step may draft", async () => {
  const CONTEXT = 128;
  const { plain, served } = await both("--max-model-len", `${CONTEXT}`);
  const [prompt] = (await prompts(plain.url, 1)) as [number[]];
  const long = Array(8).fill(prompt).flat() as number[];
  // So many tokens fit, behind a question whose answer is longer. One at a time: vLLM drafts for no row while one of them is near the end.
  const fits = [60, 44, 30, 20, 12, 9, 8, 7, 3, 2, 1];
  const asked = fits.map((count) => long.slice(count - CONTEXT));
  const sizes = { maxTokens: CONTEXT, contextTokens: CONTEXT, atATime: 1 };
  const { alone, accepted } = await compare({ plain, served, asked, ...sizes });
  for (const [i, tokens] of alone.entries()) expect(tokens.length).toBeLessThanOrEqual(fits[i]!);
  expect(alone.filter((tokens, i) => tokens.length === fits[i]).length).toBeGreaterThan(6);
  expect(accepted.right).toBeGreaterThan(0);
});
