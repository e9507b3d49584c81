import { Cloud } from "../../src/cloud/driver.ts";
import { POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import { type DrafterKind, type LoadedDrafter, loadDrafter } from "../../src/device/drafter.ts";
import { givenVocabulary } from "../../src/device/given-vocabulary.ts";
import { Pairings } from "../../src/device/pairing.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { Edge, type WholeAnswer } from "../../src/edge/edge.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaTargetModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { AWKWARD_PROMPTS } from "./prompts.ts";

/** A cloud over a pipe, and edges that are paired with it as a device pairs: without grammars, which take seconds. */
export class WornWorld {
  private readonly cloud: Cloud;
  private readonly closers: (() => void)[];

  private constructor(cloud: Cloud, closers: (() => void)[]) {
    this.cloud = cloud;
    this.closers = closers;
  }

  static async open(targetFile: string): Promise<WornWorld> {
    const model = await LlamaModel.load(targetFile, { gpu: "off" });
    const target = await llamaTargetModel(model, { threads: 1, kvSlots: 2 });
    const { name, fingerprint, chatTemplate } = model.file;
    const endTokens = new LlamaTokenizer(model).endTokens();
    const cloud = new Cloud({
      model: target,
      description: { name, fingerprint, chatTemplate, endTokens },
      clock: systemClock,
      server: "test",
      ...(await givenVocabulary(targetFile)),
    });
    return new WornWorld(cloud, [() => cloud.close(), () => target.close(), () => model.close()]);
  }

  /** @throws CloudError `tokenizer_mismatch` where the two are no pair */
  async edge(file: string, kind: DrafterKind = "model"): Promise<WornEdge> {
    const options = { file, kind, threads: 1, gpu: "off", hardware: null, check: async () => {} } as const;
    const loaded = await loadDrafter(options);
    const pairings = new Pairings(loaded);
    try {
      const client = await pairings.open(async ({ drafter }) => {
        const [near, far] = memoryPair(systemClock);
        this.cloud.accept(far);
        const tokenizer = { fingerprint: "" };
        return connectEdge({ transport: near, tokenizer, drafter, clock: systemClock, client: "test" });
      });
      const edge = new Edge({
        ...{ remote: client, local: null, tokenizer: loaded.tokenizer, chatTemplate: null },
        tokenizerOf: (opener) => pairings.of(opener).tokenizer,
        ...{ freshSeed: () => toSeed(1), policy: POLICIES.race },
      });
      return new WornEdge(edge, pairings, loaded, () => client.close());
    } catch (error) {
      pairings.close();
      loaded.close();
      throw error;
    }
  }

  close(): void {
    for (const close of this.closers) close();
  }
}

export class WornEdge {
  /** drafts that were accepted so far */
  accepted = 0;
  private readonly edge: Edge;
  private readonly pairings: Pairings;
  private readonly loaded: LoadedDrafter;
  private readonly closeClient: () => void;

  constructor(edge: Edge, pairings: Pairings, loaded: LoadedDrafter, closeClient: () => void) {
    this.edge = edge;
    this.pairings = pairings;
    this.loaded = loaded;
    this.closeClient = closeClient;
  }

  /** What it answers to each prompt. @param temperature 0: greedy */
  async texts(policy: PolicyName, temperature = 0): Promise<string[]> {
    const texts: string[] = [];
    for (const [i, prompt] of AWKWARD_PROMPTS.entries()) {
      const answer: WholeAnswer = await this.edge.ask({
        ...{ prompt, policy, seed: i, maxTokens: 20, sampler: { temperature } },
      });
      this.accepted += answer.statistics.accepted;
      texts.push(`${answer.promptTokens}: ${answer.text}`);
    }
    return texts;
  }

  async close(): Promise<void> {
    await this.edge.close();
    this.closeClient();
    this.pairings.close();
    this.loaded.close();
  }
}
