import {
  type DraftModel,
  EngineError,
  type HeldRow,
  type PassEngine,
  type PassItem,
  type PassResult,
  withPass,
} from "../../src/engine/engine.ts";
import type { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { PicoSpecError } from "../../src/util/errors.ts";
import type { EdgePlan, WorldPlan } from "./plan.ts";

/** Toy models that fail as the contracts of `PassEngine` and `DraftModel` let them, and some that take too long. */

/** @param blame the session that has a slot now; its session may end with the code that is told later */
export function failingTarget(
  toy: ToyPassEngine,
  fails: WorldPlan["targetFails"],
  random: () => number,
  blame: (slot: number) => (code: string) => void,
): PassEngine {
  const breakable = (row: HeldRow, mayFail: (code: string) => void): HeldRow => ({
    answer(question) {
      if (random() >= fails.held) return row.answer(question);
      mayFail("model_output");
      throw new PicoSpecError("model_output", "this row has no finite number");
    },
    release: () => row.release(),
  });
  const withHarm = (result: PassResult, { slot }: PassItem): PassResult => {
    const { held } = result;
    if (random() >= fails.row) return held ? { ...result, held: breakable(held, blame(slot)) } : result;
    held?.release();
    blame(slot)("model_output");
    // As `RowAnswers` has it: what was answered before the row that is of no use stays valid.
    const answers = result.answers.slice(0, Math.floor(random() * result.answers.length));
    return { ...result, answers, held: null, failure: "a row has no finite number" };
  };
  return withPass(toy, (items, done) => {
    const isLost = random() < fails.pass;
    toy.pass(items, (error, results) => {
      if (!isLost) {
        const harmed = results.map((result, i) => withHarm(result, items[i]!));
        done(error, harmed);
        return;
      }
      for (const { held } of results) held?.release();
      for (const { slot } of items) {
        toy.lose(slot);
        blame(slot)("internal");
      }
      done(new EngineError("decode_failed", "no memory"), []);
    });
  });
}

/** Knows fewer tokens than the target, and shorter texts; stalls and fails as planned. */
export function failingDrafter(
  toy: ToyDraftModel,
  plan: EdgePlan,
  random: () => number,
  isHarmed: () => boolean,
  later: (afterMs: number, callback: () => void) => void,
  failed: () => void,
): DraftModel {
  const { drafter, drafterStalls, drafterFails } = plan;
  return {
    info: { ...toy.info, ...narrowed(drafter) },
    feedTokens: toy.feedTokens,
    feed(from, tokens, read, done) {
      const fails = random() < drafterFails;
      const stallMs = isHarmed() && random() < drafterStalls.chance ? drafterStalls.forMs : 0;
      const narrow = read && ((row: Float32Array) => read(row.subarray(0, drafter.vocabularySize)));
      toy.feed(from, tokens, fails ? null : narrow, (error) =>
        later(stallMs, () => {
          if (!fails) return done(error);
          toy.lose();
          failed();
          done(new EngineError("decode_failed", "no memory"));
        }),
      );
    },
    close: () => toy.close(),
  };
}

function narrowed({ contextTokens, vocabularySize }: EdgePlan["drafter"]) {
  return { contextTokens, vocabularySize };
}
