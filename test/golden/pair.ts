import {
  type AnswerRequest,
  createEdge,
  type DeviceEdge,
  LlamaModel,
  LlamaTokenizer,
  llamaTargetModel,
  loadGrammars,
  type PolicyName,
  schemaGrammar,
  serveCloud,
  type WholeAnswer,
} from "../../src/node.ts";
import { hashOf } from "./worlds.ts";

/**
 * Answers of the bundled pair through the public library, a hash each. Kernels round differently, so near-ties can turn
 * out differently, and each CPU build has hashes of its own.
 */

export const PAIR_FILE = "test/golden/pair.json";
const TARGET = "models/pico-target-q8_0.gguf";
const DRAFTER = "models/pico-drafter-q8_0.gguf";

/** By kernel, then by name of the answer. */
export type PairGolden = Readonly<Record<string, Readonly<Record<string, string>>>>;

const POLICIES = ["cloud", "race", "picospec", "vanilla", "edge"] as const satisfies PolicyName[];
const TEMPERATURES = [0, 0.8];
const PROMPTS = {
  story: "Tell me a story about a frog and a lantern.",
  math: "Tom has 12 apples. He buys 5 more. Then he gives away 4. How many apples does Tom have now?",
  code: "Write a TypeScript function that reverses the word.",
  hello: "Hello!",
};
const MOST_TOKENS = 64;
const SCHEMA = {
  type: "object",
  properties: { name: { type: "string", maxLength: 8 }, age: { type: "integer", minimum: 1, maximum: 99 } },
  required: ["name", "age"],
  additionalProperties: false,
};

const user = (content: string) => ({ role: "user", content }) as const;

/** Requests by name. Every one has a seed. */
export async function pairRequests(): Promise<Map<string, AnswerRequest>> {
  const requests = new Map<string, AnswerRequest>();
  const add = (name: string, prompt: AnswerRequest["prompt"], more: Omit<AnswerRequest, "prompt">) =>
    requests.set(name, { prompt, maxTokens: MOST_TOKENS, seed: requests.size + 1, ...more });
  for (const [kind, prompt] of Object.entries(PROMPTS)) {
    for (const temperature of TEMPERATURES) {
      // One seed for all policies: cloud and race have one text.
      const seed = requests.size + 1;
      for (const policy of POLICIES)
        add(`${kind}, ${policy}, temperature ${temperature}`, [user(prompt)], {
          policy,
          seed,
          sampler: { temperature },
        });
    }
  }
  const { story, code } = PROMPTS;
  const penalties = { repetitionPenalty: 1.2, presencePenalty: 0.3, frequencyPenalty: 0.2, penaltyLastN: 32 };
  add("penalties", [user(story)], { policy: "picospec", sampler: { temperature: 0.8, ...penalties } });
  add("top-k, top-p, min-p", [user(code)], {
    policy: "race",
    sampler: { temperature: 1, topK: 20, topP: 0.9, minP: 0.02 },
  });
  const grammar = await schemaGrammar(SCHEMA);
  add("JSON schema", [user("Describe a person as JSON.")], { policy: "race", grammar });
  add("logprobs", [user(story)], {
    policy: "race",
    sampler: { temperature: 0.8 },
    logprobs: 3,
    maxTokens: 24,
  });
  const turns = [user(PROMPTS.hello), { role: "assistant", content: "Hello! How can I help you?" } as const];
  add("second turn", [...turns, user(story)], { policy: "race", sampler: { temperature: 0.8 } });
  return requests;
}

export interface PairAnswers {
  /** library and CPU build: what the hashes belong to */
  readonly kernel: string;
  /** by name of the request */
  readonly hashes: Readonly<Record<string, string>>;
  /** what does not hold and has to with every kernel, in words */
  readonly problems: readonly string[];
}

/** @param repeat asks everything twice, to see that the text is the same */
export async function pairAnswers(repeat: boolean): Promise<PairAnswers> {
  const requests = await pairRequests();
  return withPair(async (edge, kernel) => {
    const hashes: Record<string, string> = {};
    const problems: string[] = [];
    for (const [name, request] of requests) {
      hashes[name] = answerHash(await edge.ask(request));
      if (repeat && answerHash(await edge.ask(request)) !== hashes[name])
        problems.push(`"${name}" has another text the second time`);
    }
    for (const name of requests.keys()) {
      const alone = name.replace(", race,", ", cloud,");
      if (alone !== name && hashes[name] !== hashes[alone])
        problems.push(`"${name}" has another text than "${alone}"`);
    }
    return { kernel, hashes, problems };
  });
}

/** Differences from the entry of the kernel, in words; null: it has none. */
export function pairDifferences({ kernel, hashes }: PairAnswers, golden: PairGolden): string[] | null {
  const entry = golden[kernel];
  if (!entry) return null;
  const names = new Set([...Object.keys(hashes), ...Object.keys(entry)]);
  return [...names]
    .filter((name) => hashes[name] !== entry[name])
    .map((name) => `"${name}" is ${hashes[name] ?? "not asked"}, and was ${entry[name] ?? "not asked"}`);
}

/** What a user sees of an answer: text, tokens, why it ended, logprobs to three decimals. */
function answerHash({ text, reason, tokens }: WholeAnswer): string {
  const decimals = (x: number) => x.toFixed(3);
  const told = tokens.map(({ token, logprobs }) =>
    logprobs
      ? [token, decimals(logprobs.logprob), [...logprobs.topIds], Array.from(logprobs.topLogprobs, decimals)]
      : token,
  );
  return hashOf([text, reason, told]).slice(0, 12);
}

async function withPair<T>(use: (edge: DeviceEdge, kernel: string) => Promise<T>): Promise<T> {
  const model = await LlamaModel.load(TARGET, { gpu: "off" });
  const target = await llamaTargetModel(model, { threads: 1, kvSlots: 2 });
  const tokenizer = new LlamaTokenizer(model);
  const endTokens = tokenizer.endTokens();
  const { name, fingerprint, chatTemplate } = model.file;
  const server = await serveCloud({
    model: target,
    description: { name, fingerprint, chatTemplate, endTokens },
    port: 0,
    server: "golden",
    grammars: await loadGrammars(tokenizer, endTokens),
  });
  // The model alone drafts: which of two drafters proposes depends on how fast the text has come.
  const edge = await createEdge({
    cloud: server.url,
    model: DRAFTER,
    drafter: "model",
    threads: 1,
    gpu: "off",
  });
  try {
    return await use(edge, `llama.cpp ${model.library.version}, ${model.library.cpuBuild}`);
  } finally {
    await edge.close();
    await server.close();
    target.close();
    model.close();
  }
}
