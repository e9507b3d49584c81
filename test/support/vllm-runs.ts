import { POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { connectServers } from "../../src/engine/vllm/connect.ts";
import { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../../src/sampling/sampler.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { type RealVllm, SECRET } from "./real-vllm.ts";

/** Runs of the adapter before a real vLLM. */

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
  /** chunks that they came in */
  readonly steps: number;
  /** from the request to the first token */
  readonly firstMs: number;
}

/** Drafts once so much of the answer is there; `at`: so many tokens of it come before them; null: none. */
export type Drafts = (
  done: readonly number[],
) => { readonly at: number; readonly tokens: readonly number[] } | null;

/** The next dozen of a text, as far as it goes. */
export function following(text: readonly number[]): Drafts {
  return ({ length: at }) => (at < text.length ? { at, tokens: text.slice(at, at + 12) } : null);
}

export interface Asking {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly principal?: string;
  /** default: 1; without drafts the answers of one seed are the same */
  readonly seed?: number;
  /** default: greedy */
  readonly sampler?: Partial<SamplerSettings>;
  /** not given: none are offered */
  readonly drafts?: Drafts;
}

export function ask(
  engine: VllmEngine,
  { prompt, maxTokens, principal = "test", seed = 1, sampler = { temperature: 0 }, drafts }: Asking,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const policy = drafts ? POLICIES.race : POLICIES.cloud;
    const settings: SessionSettings = {
      policy,
      sampler: samplerSettings(sampler),
      seed: toSeed(seed),
      maxTokens,
    };
    const { contextTokens } = engine.info;
    const rule = { promptLength: prompt.length, maxTokens, contextTokens, endTokens: new Set([2]) };
    const request = { tokens: Int32Array.from(prompt), settings, principal, rule };
    const tokens: number[] = [];
    const startedMs = performance.now();
    let [firstMs, steps] = [Number.NaN, 0];
    const run = engine.open(request, {
      committed(step) {
        if (tokens.length === 0) firstMs = performance.now() - startedMs;
        steps++;
        tokens.push(...step.tokens);
        offer();
      },
      ended: () => resolve({ tokens, steps, firstMs }),
      failed: reject,
    });
    const offer = () => {
      const made = drafts?.(tokens);
      if (made) run.offer(prompt.length + made.at, Int32Array.from(made.tokens));
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
