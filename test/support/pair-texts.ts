import { createCloud } from "../../src/device/cloud.ts";
import { createEdge } from "../../src/device/edge.ts";
import type { AnswerRequest } from "../../src/edge/edge.ts";
import { AWKWARD_PROMPTS } from "./prompts.ts";

/** What a pair of files answers over a cloud in this process, beside what the target answers alone. */

export interface PairTexts {
  /** of the target alone, one a question */
  readonly alone: readonly string[];
  /** of the pair, by how it was asked, one a question */
  readonly drafted: Readonly<Record<string, readonly string[]>>;
  /** drafts of the model that were accepted, over all answers */
  readonly accepted: number;
  /** text of the drafts that were discarded */
  readonly discarded: string;
}

const QUESTIONS: readonly AnswerRequest[] = AWKWARD_PROMPTS.flatMap((prompt, i) => [
  { prompt, seed: i, maxTokens: 24, sampler: { temperature: 0 } },
  { prompt, seed: i, maxTokens: 24, sampler: { temperature: 1 } },
]);

/** @throws CloudError `tokenizer_mismatch` where the two are no pair */
export async function pairTexts(target: string, drafter: string): Promise<PairTexts> {
  await using cloud = await createCloud({ model: target, port: 0, threads: 1, gpu: "off", kvSlots: 2 });
  const alone: string[] = [];
  {
    await using edge = await createEdge({ cloud: cloud.url, drafter: "lookup", policy: "cloud" });
    for (const question of QUESTIONS) alone.push((await edge.ask(question)).text);
  }
  await using edge = await createEdge({
    ...{ cloud: cloud.url, model: drafter, drafter: "model", threads: 1, gpu: "off" },
  });
  let accepted = 0;
  let discarded = "";
  const ask = async (policy: "race" | "picospec" | "vanilla", question: AnswerRequest) => {
    const { text, statistics } = await edge.ask({ ...question, policy }, (event) => {
      if (event.type === "discarded") discarded += event.text;
    });
    accepted += statistics.sources.model.accepted;
    return text;
  };
  const drafted: Record<string, string[]> = { race: [], picospec: [] };
  for (const question of QUESTIONS) {
    drafted.race!.push(await ask("race", question));
    // Under rejection coupling a sampled text has other random numbers: a test of distributions looks at it.
    if (question.sampler!.temperature === 0) drafted.picospec!.push(await ask("picospec", question));
  }
  return { alone, drafted, accepted, discarded };
}

/** The questions of `alone` that `picospec` is asked as well. */
export function greedyOf(alone: readonly string[]): readonly string[] {
  return alone.filter((_, i) => QUESTIONS[i]!.sampler!.temperature === 0);
}
