import { expect, it, vi } from "vitest";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { LocalOpener } from "../../src/edge/local-opener.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import type { Grammars } from "../../src/grammar/grammar.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/settings.ts";
import { PicoSpecError } from "../../src/util/errors.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { TOY_GRAMMAR, ToyGrammars } from "../support/toy-grammar.ts";
import { draws, END_TOKEN, type Run, randomSchedule, World } from "../support/world.ts";

/**
 * Grammars that come to a limit at any time, also while a pass is planned that copies KV from slot to slot: they cost
 * their own session, and no other session anything.
 */

const WORLDS = 400;
const PROMPT = Array.from({ length: 24 }, (_, i) => 1 + ((i * 5) % 6));
const language: ToyLanguage = {
  seed: toSeed(79),
  vocabularySize: 7,
  order: 3,
  spread: 3,
  divergence: 2,
  contextTokens: 80,
};

/** The toy's, whose matchers fail at a call that is drawn. */
class FailingGrammars implements Grammars {
  readonly inner = new ToyGrammars(language.vocabularySize);
  private readonly random: () => number;

  constructor(random: () => number) {
    this.random = random;
  }

  matcher() {
    const matcher = this.inner.matcher(TOY_GRAMMAR);
    let left = Math.max(0, Math.floor(16 * this.random()) - 4);
    return {
      ...matcher,
      allowed: (tokens: ArrayLike<number>, from: number, to: number) => {
        if (left-- <= 0) throw new PicoSpecError("grammar_limit", "too many items");
        return matcher.allowed(tokens, from, to);
      },
    };
  }
}

function run(world: number): { innocent: Run[]; failing: Run[] } {
  const random = draws(world);
  const drawn = randomSchedule(random);
  const still = { delayMs: 0, jitterMs: 0, mbps: 1000 };
  const roomy = {
    ...drawn,
    network: { up: still, down: still },
    limits: {},
    sequences: 3,
    pace: { ...drawn.pace, passMs: 30 },
  };
  const schedule = world % 2 === 0 ? roomy : { ...drawn, sequences: 3 };
  const grammars = new FailingGrammars(random);
  const here = new World({ language, schedule, random, grammars });
  const ask = (seed: number, more: object) =>
    here.generate(POLICIES.race, PROMPT, toSeed(seed), 12, { settings: more, edge: "one" });
  const innocent: Run[] = [];
  const failing: Run[] = [];
  // Its slot has the prompt of all others, which begin in the pass after one of its own and copy it, one from the other.
  if (world % 2 === 0) {
    const other = (first: number) =>
      here.generate(POLICIES.cloud, [first, ...PROMPT], toSeed(1), 1, { edge: "one" });
    const before = other(3);
    innocent.push(ask(0, {}));
    const behind = other(4);
    while (!before.outcome || !behind.outcome) here.clock.step();
  }
  for (let i = 0; i < 8; i++) {
    // Log-probabilities: then the first mask is asked for when a pass is planned.
    if (random() < 0.5) failing.push(ask(i, { grammar: TOY_GRAMMAR, logprobs: 1 }));
    else innocent.push(ask(i, {}));
    if (world % 2 === 1 && random() < 0.5) for (let steps = 0; steps < 20; steps++) here.clock.step();
  }
  here.clock.run();
  here.cloud.checkIntegrity(true);
  expect(grammars.inner.open, `world ${world}`).toBe(0);
  return { innocent, failing };
}

function alone(seed: number): string {
  const random = draws(1);
  const here = new World({ language, schedule: randomSchedule(random), random });
  const only = here.generate(POLICIES.cloud, PROMPT, toSeed(seed), 12);
  here.clock.run();
  return only.tokens.join(" ");
}

it(`a limit costs its own session and no other: ${WORLDS} worlds`, () => {
  const texts = new Set(Array.from({ length: 8 }, (_, seed) => alone(seed)));
  const ends = new Map<string, number>();
  for (let world = 0; world < WORLDS; world++) {
    const { innocent, failing } = run(world);
    for (const { outcome, tokens } of innocent) {
      expect(outcome?.kind, `world ${world}`).toBe("done");
      expect(texts, `world ${world}`).toContain(tokens.join(" "));
    }
    for (const { outcome } of failing) {
      const end = outcome?.kind === "failed" ? outcome.code : (outcome?.kind ?? "never");
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  }
  expect([...ends.keys()].sort()).toEqual(["done", "grammar_limit"]);
  expect(ends.get("grammar_limit")).toBeGreaterThan(WORLDS);
});

it("control: KV that was to be copied in a pass, and was not, is found out", () => {
  // What the failed session would have got stays believed.
  vi.spyOn(PassSession.prototype, "evicted").mockImplementation(() => {});
  const found = () => {
    for (let world = 0; world < WORLDS; world++) run(world);
  };
  expect(found).toThrow();
  vi.restoreAllMocks();
});

it("alone, without a cloud that would see to it, the answer ends with the limit", () => {
  const clock = new VirtualClock();
  const ends: string[] = [];
  for (let seed = 0; seed < 20; seed++) {
    const grammars = new FailingGrammars(draws(seed));
    const drafter = new ParallelDrafter(new ToyDraftModel(language, clock));
    const local = new LocalOpener({
      ...{ drafter, name: "small", endTokens: [END_TOKEN], chatTemplate: null },
      grammars,
      clock,
    });
    const settings = {
      policy: POLICIES.edge,
      sampler: samplerSettings(),
      seed: toSeed(seed),
      maxTokens: 40,
      grammar: TOY_GRAMMAR,
    };
    local.open(settings, Int32Array.from(PROMPT), {
      finished: (outcome) => ends.push(outcome.kind === "failed" ? outcome.code : outcome.kind),
    });
    clock.run();
    expect(grammars.inner.open).toBe(0);
  }
  expect(ends.length).toBe(20);
  expect(ends.filter((end) => end === "grammar_limit").length).toBeGreaterThan(5);
  expect(new Set(ends)).toEqual(new Set(["grammar_limit", "done"]));
});
