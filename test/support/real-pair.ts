import { randomUUID as secret } from "node:crypto";
import type { CloudObserver } from "../../src/cloud/core/observer.ts";
import type { CloudLimits } from "../../src/cloud/driver.ts";
import { Cloud } from "../../src/cloud/driver.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { loadGrammars } from "../../src/device/grammars.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { Edge, type WholeAnswer } from "../../src/edge/edge.ts";
import type { DraftModel, PassEngine } from "../../src/engine/engine.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import type { Transport } from "../../src/transport/transport.ts";

/** What a pair may have besides its two files. */
export interface PairParts {
  /** wraps the edge's end of each link; then sessions outlive their links */
  readonly link?: (transport: Transport) => Transport;
  /** wraps the target */
  readonly target?: (engine: PassEngine) => PassEngine;
  /** of the cloud */
  readonly observer?: CloudObserver;
}

/** As long as a test may take: a machine that stands still for a minute is no fault of the link. */
const RESUMED_WITHIN_MS = 300_000;

/** Two GGUF files as cloud and edge in one process, over a pipe without delay. */
export class RealPair {
  readonly tokenizer: LlamaTokenizer;
  readonly targetModel: LlamaModel;
  readonly template: string | null;
  readonly drafter: ParallelDrafter;
  private readonly edge: Edge;
  private readonly closers: (() => void)[];

  private constructor(
    targetModel: LlamaModel,
    edge: Edge,
    tokenizer: LlamaTokenizer,
    drafter: ParallelDrafter,
    closers: (() => void)[],
  ) {
    this.targetModel = targetModel;
    this.edge = edge;
    this.tokenizer = tokenizer;
    this.drafter = drafter;
    this.template = targetModel.file.chatTemplate;
    this.closers = closers;
  }

  static async open(
    targetFile: string,
    drafterFile: string,
    limits: Partial<CloudLimits> = {},
    kvSlots = 2,
    parts: PairParts = {},
  ): Promise<RealPair> {
    const targetModel = await LlamaModel.load(targetFile, { gpu: "off" });
    const draftModel = await LlamaModel.load(drafterFile, { gpu: "off" });
    const target: PassEngine = await llamaTargetModel(targetModel, { threads: 1, kvSlots });
    const drafts: DraftModel = await llamaDraftModel(draftModel, { threads: 1 });
    const targetTokenizer = new LlamaTokenizer(targetModel);
    const ends = targetTokenizer.endTokens();
    const grammars = await loadGrammars(targetTokenizer, ends);
    const { name, fingerprint, chatTemplate } = targetModel.file;
    const cloud = new Cloud({
      model: parts.target?.(target) ?? target,
      ...(parts.observer ? { observer: parts.observer } : {}),
      description: { name, fingerprint, chatTemplate, endTokens: ends },
      clock: systemClock,
      server: "test",
      limits,
      grammars,
    });
    const drafter = new ParallelDrafter(drafts);
    const dial = () => {
      const [near, far] = memoryPair(systemClock);
      cloud.accept(far);
      return parts.link?.(near) ?? near;
    };
    const tokenizer = new LlamaTokenizer(draftModel);
    const client = await connectEdge({
      transport: dial(),
      ...(parts.link
        ? { resume: { reconnect: async () => dial(), withinMs: RESUMED_WITHIN_MS, secret } }
        : {}),
      tokenizer,
      drafter,
      clock: systemClock,
      client: "test",
      grammars,
    });
    const closers = [client, cloud, drafts, target, draftModel, targetModel].map(
      (part) => () => part.close(),
    );
    const edge = new Edge({
      ...{ remote: client, local: null, tokenizer, chatTemplate: null },
      ...{ freshSeed: () => toSeed(1), policy: POLICIES.race },
    });
    return new RealPair(targetModel, edge, tokenizer, drafter, closers);
  }

  prompt(question: string): Int32Array {
    return chatPrompt(this.template, [{ role: "user", content: question }], this.tokenizer);
  }

  /** An answer, and its token ids. */
  async answer(
    policy: DecodingPolicy,
    prompt: Int32Array,
    maxTokens: number,
    sampler: Partial<SamplerSettings> = { temperature: 0 },
    seed = 1,
    more: Pick<SessionSettings, "grammar"> = {},
  ): Promise<Omit<WholeAnswer, "tokens"> & { readonly tokens: number[] }> {
    const request = { policy, prompt, maxTokens, sampler, seed: toSeed(seed), ...more };
    const { tokens, ...rest } = await this.edge.ask(request);
    return { ...rest, tokens: tokens.map(({ token }) => token) };
  }

  close(): void {
    for (const close of this.closers) close();
  }
}
