import { type DecodingPolicy, POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { type Capabilities, checkCapabilities, UnsupportedError } from "../../src/engine/capabilities.ts";
import type { DraftModel } from "../../src/engine/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { DEFAULT_SAMPLER, type SamplerSettings, samplerSettings } from "../../src/sampling/sampler.ts";
import { chiSquare } from "../models/statistics.ts";
import { type Adapter, expectThat } from "./adapter.ts";
import { type Outcome, Stage } from "./stage.ts";
import { failing } from "./watch.ts";

/**
 * What every engine keeps to, whatever it is made of: the adapters' own tests run these checks, and whole policies run
 * in them, over the real machines of cloud and edge.
 */
export interface Check {
  readonly name: string;
  /** @throws ConformanceError that says what does not hold */
  run(adapter: Adapter): Promise<void>;
}

/** False alarms of the test of the distribution: one in so many runs. */
const ALPHA = 1e-4;

const GREEDY = samplerSettings({ temperature: 0 });

function settingsOf(
  { maxTokens }: Adapter,
  policy: DecodingPolicy,
  sampler: SamplerSettings = GREEDY,
  seed = 1,
): SessionSettings {
  return { policy, sampler, seed: toSeed(seed), maxTokens };
}

/** Names of the presets that an engine can serve. */
function served(able: Capabilities, adapter: Adapter): PolicyName[] {
  return (Object.keys(POLICIES) as PolicyName[]).filter((name) => {
    if (!POLICIES[name].target) return false;
    try {
      checkCapabilities(able, settingsOf(adapter, POLICIES[name]), adapter.name);
      return true;
    } catch (error) {
      if (error instanceof UnsupportedError) return false;
      throw error;
    }
  });
}

async function onStage(
  adapter: Adapter,
  act: (stage: Stage) => Promise<void>,
  change: Parameters<typeof Stage.open>[1] = {},
): Promise<void> {
  const stage = await Stage.open(adapter, change);
  await act(stage);
  await stage.checkEmpty();
  await stage.close();
}

async function ableOf(adapter: Adapter): Promise<Capabilities> {
  const engine = await adapter.target();
  engine.close();
  return engine.capabilities;
}

/** The texts of the cloud alone, which every other way has to give. */
async function plainTexts(adapter: Adapter, sampler = GREEDY): Promise<string[]> {
  const texts: string[] = [];
  await onStage(adapter, async (stage) => {
    for (const prompt of adapter.prompts) {
      const answer = await stage.answer(settingsOf(adapter, POLICIES.cloud, sampler), prompt);
      texts.push(textOf(answer));
    }
  });
  return texts;
}

function textOf({ tokens, ended, message }: Outcome): string {
  expectThat(ended === "done", `an answer ended with ${ended}: ${message}`);
  return tokens.join(" ");
}

function same(texts: readonly string[], expected: readonly string[], what: string): void {
  for (const [i, text] of texts.entries()) {
    expectThat(
      text === expected[i],
      `${what}: prompt ${i} gives ${text}, and the cloud alone ${expected[i]}`,
    );
  }
}

/** Each of its rows says the least likely token, now and then: drafts that are mostly wrong. */
function contrary(drafter: DraftModel): DraftModel {
  let count = 0;
  return {
    info: drafter.info,
    feedTokens: drafter.feedTokens,
    feed: (from, tokens, read, done) =>
      drafter.feed(
        from,
        tokens,
        read && ((logits) => read(++count % 3 === 0 ? logits : logits.map((logit) => -logit))),
        done,
      ),
    close: () => drafter.close(),
  };
}

const capabilities: Check = {
  name: "states what it can do, and what it lacks is refused with a name",
  async run(adapter) {
    const able = await ableOf(adapter);
    const base = settingsOf(adapter, POLICIES.cloud);
    const lacking: [string, SessionSettings][] = [];
    if (!able.couplings.includes("rejection"))
      lacking.push(["rejection", { ...base, policy: POLICIES.picospec }]);
    if (!able.waits) lacking.push(["waits", { ...base, policy: { ...POLICIES.race, patienceMs: 20 } }]);
    if (!able.grammars)
      lacking.push(["grammar", { ...base, grammar: { kind: "ebnf", source: 'root ::= "a"' } }]);
    if (able.topLogprobs < 0) lacking.push(["log-probabilities", { ...base, logprobs: 0 }]);
    const settings = Object.keys(DEFAULT_SAMPLER) as (keyof SamplerSettings)[];
    if (!able.samplerSettings.includes("topK") && settings.includes("topK")) {
      lacking.push(["topK", { ...base, sampler: samplerSettings({ topK: 3 }) }]);
    }
    await onStage(adapter, async (stage) => {
      for (const [name, asked] of lacking) {
        const { ended, message } = await stage.answer(asked, adapter.prompts[0]!);
        expectThat(
          ended === "unsupported",
          `${name} is lacking, and the session ended with ${ended}: ${message}`,
        );
        expectThat(message.includes(name), `the refusal does not name ${name}: ${message}`);
      }
      if (able.topLogprobs >= 0) await checkLogprobs(stage, adapter, base);
    });
  },
};

async function checkLogprobs(stage: Stage, adapter: Adapter, base: SessionSettings): Promise<void> {
  const answer = await stage.answer({ ...base, logprobs: 2 }, adapter.prompts[0]!);
  textOf(answer);
  const told = answer.logprobs;
  expectThat(
    told.length === answer.tokens.length,
    `${told.length} log-probabilities for ${answer.tokens.length} tokens`,
  );
  const fine = told.every(({ logprob, topIds }) => logprob <= 0.001 && topIds.length === 2);
  expectThat(fine, "log-probabilities that are none");
  // Greedy: the likeliest token is the one that was taken.
  const taken = told.every(({ topIds }, i) => topIds[0] === answer.tokens[i]);
  expectThat(taken, "the likeliest token is not the greedy one");
}

const greedyTexts: Check = {
  name: "gives the same greedy text under every policy that it serves",
  async run(adapter) {
    const expected = await plainTexts(adapter);
    const names = served(await ableOf(adapter), adapter);
    expectThat(names.includes("race"), "it does not serve race");
    for (const name of names) {
      await onStage(adapter, async (stage) => {
        const texts: string[] = [];
        let accepted = 0;
        for (const prompt of adapter.prompts) {
          const answer = await stage.answer(settingsOf(adapter, POLICIES[name]), prompt);
          texts.push(textOf(answer));
          accepted += answer.accepted;
        }
        same(texts, expected, name);
        expectThat(POLICIES[name].segmentTokens === 0 || accepted > 0, `${name} accepted no draft at all`);
      });
    }
  },
};

const seededTexts: Check = {
  name: "gives the same text for the same seed, drafts or not",
  async run(adapter) {
    const { couplings } = await ableOf(adapter);
    // An engine with a sampler of its own promises the distribution, and no text.
    if (!couplings.includes("gumbel")) return;
    const sampler = samplerSettings({ temperature: 0.8, topP: 0.95 });
    const expected = await plainTexts(adapter, sampler);
    await onStage(adapter, async (stage) => {
      const texts: string[] = [];
      for (const prompt of adapter.prompts) {
        texts.push(textOf(await stage.answer(settingsOf(adapter, POLICIES.race, sampler), prompt)));
      }
      same(texts, expected, "race with a seed");
    });
  },
};

const rollback: Check = {
  name: "rolls back: drafts that are mostly wrong change nothing",
  async run(adapter) {
    const expected = await plainTexts(adapter);
    for (const name of served(await ableOf(adapter), adapter)) {
      if (POLICIES[name].segmentTokens === 0) continue;
      await onStage(
        adapter,
        async (stage) => {
          const texts: string[] = [];
          let rejected = 0;
          for (const prompt of adapter.prompts) {
            const answer = await stage.answer(settingsOf(adapter, POLICIES[name]), prompt);
            texts.push(textOf(answer));
            rejected += answer.rejected;
          }
          same(texts, expected, `${name} with bad drafts`);
          expectThat(rejected > 0 || stage.seen.drafts === 0, `${name} rejected no draft`);
        },
        { drafter: contrary },
      );
    }
  },
};

const together: Check = {
  name: "serves many sessions at a time, within its bounds, each with its own text",
  async run(adapter) {
    const expected = await plainTexts(adapter);
    const names = served(await ableOf(adapter), adapter);
    await onStage(adapter, async (stage) => {
      const asked = adapter.prompts.flatMap((prompt, i) => names.map((name) => ({ prompt, i, name })));
      const answers = asked.map(({ prompt, name }) =>
        stage.start(settingsOf(adapter, POLICIES[name]), prompt),
      );
      await stage.ended(...answers);
      for (const [k, { i, name }] of asked.entries())
        same([textOf(answers[k]!)], [expected[i]!], `${name}, together`);
      expectThat(stage.seen.mostAtOnce > 1, "no two sessions were served at a time");
    });
  },
};

const cancelling: Check = {
  name: "lets go of what is cancelled, and serves the next one as before",
  async run(adapter) {
    const expected = await plainTexts(adapter);
    await onStage(adapter, async (stage) => {
      for (const [i, prompt] of adapter.prompts.entries()) {
        const left = stage.start(settingsOf(adapter, POLICIES.race), prompt);
        const before = stage.start(settingsOf(adapter, POLICIES.cloud), prompt);
        await adapter.until(() => left.tokens.length > i || left.ended !== null);
        left.cancel();
        await stage.ended(left, before);
        same([textOf(before)], [expected[i]!], "beside a cancelled session");
        same(
          [textOf(await stage.answer(settingsOf(adapter, POLICIES.race), prompt))],
          [expected[i]!],
          "after it",
        );
      }
    });
  },
};

const faults: Check = {
  name: "survives a failure: its sessions end with an error, and the next ones have their texts",
  async run(adapter) {
    const expected = await plainTexts(adapter);
    const prompt = adapter.prompts[0]!;
    for (const at of [1, 2, 4]) {
      await onStage(
        adapter,
        async (stage) => {
          const hit = await stage.answer(settingsOf(adapter, POLICIES.race), prompt);
          const isOver = hit.ended === "internal" || (hit.ended === "done" && stage.seen.steps < at);
          expectThat(isOver, `step ${at} failed, and the session ended with ${hit.ended}: ${hit.message}`);
          const next = textOf(await stage.answer(settingsOf(adapter, POLICIES.race), prompt));
          same([next], [expected[0]!], "after a failure");
        },
        { engine: (engine) => failing(engine, at) },
      );
    }
  },
};

const distribution: Check = {
  name: "draws from the model's own distribution",
  async run(adapter) {
    const sampler = samplerSettings({ temperature: 1, topK: 8 });
    const prompt = adapter.prompts[0]!;
    const known = adapter.distribution(prompt, sampler);
    if (!known) return;
    const expected = asCells(await known);
    const able = await ableOf(adapter);
    for (const name of served(able, adapter).filter((policy) => ["race", "picospec"].includes(policy))) {
      await onStage(adapter, async (stage) => {
        const counts = new Map<string, number>();
        for (let seed = 0; seed < adapter.samples; seed++) {
          const settings = { ...settingsOf(adapter, POLICIES[name], sampler, seed), maxTokens: 1 };
          const token = textOf(await stage.answer(settings, prompt));
          counts.set(token, (counts.get(token) ?? 0) + 1);
        }
        const { pValue } = chiSquare(counts, expected);
        expectThat(pValue > ALPHA, `${name} draws from another distribution (p-value ${pValue})`);
        // The control: a distribution that is a little flatter is told apart by as many draws.
        const flatter = new Map([...expected].map(([token, p]) => [token, Math.sqrt(p)] as const));
        const total = [...flatter.values()].reduce((a, b) => a + b, 0);
        const wrong = chiSquare(counts, new Map([...flatter].map(([token, p]) => [token, p / total])));
        expectThat(wrong.pValue < ALPHA, `${adapter.samples} draws cannot tell a flatter distribution`);
      });
    }
  },
};

function asCells(probabilities: Float32Array): Map<string, number> {
  const cells = [...probabilities.entries()]
    .filter(([, p]) => p > 0)
    .map(([token, p]) => [`${token}`, p] as const);
  return new Map(cells);
}

/** Every check, in order. Those of a kind that an engine is not pass at once. */
export const CONFORMANCE: readonly Check[] = [
  capabilities,
  greedyTexts,
  seededTexts,
  rollback,
  together,
  cancelling,
  faults,
  distribution,
];
