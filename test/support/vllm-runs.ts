import { POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { connectServers } from "../../src/engine/vllm/connect.ts";
import { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { type RealVllm, SECRET } from "./real-vllm.ts";

/** Greedy runs of the adapter before a real vLLM. */

export const VOCABULARY = 49_152;

let freshIds = 0;

/** The caller closes it. */
export async function engineBefore({ url, mailbox }: RealVllm, contextTokens = 2048): Promise<VllmEngine> {
  const upstreams = await connectServers({
    ...{ urls: [url], mailboxes: mailbox ? [mailbox] : [], mailboxSecret: SECRET },
    ...{ apiKey: null, model: null, clock: systemClock, random: Math.random, told: () => {} },
  });
  return new VllmEngine({
    info: { name: "smollm2", vocabularySize: VOCABULARY, contextTokens },
    ...{ upstreams, runs: 64, clock: systemClock, secret: SECRET, freshId: () => `runs-${++freshIds}` },
  });
}

export interface Answer {
  readonly tokens: number[];
  /** from the request to the first token */
  readonly firstMs: number;
}

/** Drafts after so many tokens of the answer, for what follows them; null: none. */
export type Drafts = (done: readonly number[]) => readonly number[] | null;

export interface Asking {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly principal?: string;
  readonly drafts?: Drafts;
}

export function ask(
  engine: VllmEngine,
  { prompt, maxTokens, principal = "test", drafts }: Asking,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const policy = drafts ? POLICIES.race : POLICIES.cloud;
    const sampler = samplerSettings({ temperature: 0 });
    const settings: SessionSettings = { policy, sampler, seed: toSeed(1), maxTokens };
    const { contextTokens } = engine.info;
    const rule = { promptLength: prompt.length, maxTokens, contextTokens, endTokens: new Set([2]) };
    const request = { tokens: Int32Array.from(prompt), settings, principal, rule };
    const tokens: number[] = [];
    const startedMs = performance.now();
    let firstMs = Number.NaN;
    const run = engine.open(request, {
      committed(step) {
        if (tokens.length === 0) firstMs = performance.now() - startedMs;
        tokens.push(...step.tokens);
        offer();
      },
      ended: () => resolve({ tokens, firstMs }),
      failed: reject,
    });
    const offer = () => {
      const made = drafts?.(tokens);
      if (made && made.length > 0) run.offer(prompt.length + tokens.length, Int32Array.from(made));
    };
    offer();
  });
}

/** So many at a time. */
export async function together<T, R>(
  items: readonly T[],
  act: (item: T, index: number) => Promise<R>,
  atATime = 8,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const work = async () => {
    for (let i = next++; i < items.length; i = next++) results[i] = await act(items[i]!, i);
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return results;
}

/** A counter of vLLM's own metrics, over all its labels. @param name without `vllm:` */
export async function metric({ url }: RealVllm, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = [...text.matchAll(new RegExp(`^vllm:${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))];
  if (lines.length === 0) throw new Error(`vLLM has no metric ${name}`);
  return lines.reduce((sum, [, value]) => sum + Number(value), 0);
}
