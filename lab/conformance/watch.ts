import { EngineError, type PassEngine, type PassItem, rowsOf, withPass } from "../../src/engine/engine.ts";
import type { LiveEngine } from "../../src/engine/live-engine.ts";
import { type Engine, expectThat, isLive } from "./adapter.ts";

/** What was seen of an engine's work. */
export interface Seen {
  /** passes, or steps of runs */
  steps: number;
  /** most items of a pass, or most runs at a time */
  mostAtOnce: number;
  /** drafts that were offered, or checked by a pass */
  drafts: number;
}

/** The same engine, with what it is asked and what it answers checked against its own bounds and reports. */
export function watched(engine: Engine, seen: Seen): Engine {
  return isLive(engine) ? watchedLive(engine, seen) : watchedPass(engine, seen);
}

function watchedPass(engine: PassEngine, seen: Seen): PassEngine {
  const resident = new Array<number>(engine.kvSlots).fill(0);
  return withPass(engine, (items, done) => {
    seen.steps++;
    seen.mostAtOnce = Math.max(seen.mostAtOnce, items.length);
    checkPass(engine, items);
    for (const item of items) {
      seen.drafts += item.questions.filter(({ ask }) => ask === "decide").length;
      const held = item.copyFrom == null ? resident[item.slot]! : resident[item.copyFrom]!;
      const anywhere = engine.capabilities.rollback === "anywhere";
      const begins = anywhere ? item.from <= held : item.from === held || item.from === 0;
      expectThat(begins, `an item begins at ${item.from}, and the slot holds ${held} tokens`);
    }
    engine.pass(items, (error, results) => {
      for (const [i, item] of items.entries()) {
        resident[item.slot] = error ? 0 : results[i]!.resident;
        const end = item.from + item.tokens.length;
        expectThat(error !== null || results[i]!.resident <= end, "more is resident than was fed");
      }
      done(error, results);
    });
  });
}

function checkPass({ kvSlots, passTokens, passRows }: PassEngine, items: readonly PassItem[]): void {
  const tokens = items.reduce((sum, item) => sum + item.tokens.length, 0);
  const rows = items.reduce((sum, item) => sum + rowsOf(item), 0);
  const slots = new Set(items.map(({ slot }) => slot));
  expectThat(tokens > 0 && tokens <= passTokens, `a pass of ${tokens} tokens, and ${passTokens} is the most`);
  expectThat(rows <= passRows, `a pass of ${rows} rows, and ${passRows} is the most`);
  expectThat(slots.size === items.length && items.length <= kvSlots, "a slot is in a pass twice");
}

function watchedLive(engine: LiveEngine, seen: Seen): LiveEngine {
  let runs = 0;
  const { info, capabilities } = engine;
  return {
    ...{ info, capabilities, runs: engine.runs },
    open(request, listener) {
      seen.mostAtOnce = Math.max(seen.mostAtOnce, ++runs);
      expectThat(runs <= engine.runs, `${runs} runs are open, and ${engine.runs} is the most`);
      let next = request.tokens.length;
      let isOpen = true;
      const over = () => {
        if (isOpen) runs--;
        isOpen = false;
      };
      const run = engine.open(request, {
        committed(step) {
          seen.steps++;
          expectThat(isOpen, "a run that is over goes on");
          expectThat(step.first === next, `a step begins at ${step.first}, and ${next} is next`);
          expectThat(step.tokens.length > 0, "a step without tokens");
          next += step.tokens.length;
          listener.committed(step);
        },
        ended() {
          over();
          listener.ended();
        },
        failed(error) {
          over();
          listener.failed(error);
        },
      });
      return {
        offer(position, tokens) {
          seen.drafts += tokens.length;
          const most = capabilities.draftTokens;
          expectThat(tokens.length <= most, `an offer of ${tokens.length} drafts, and ${most} is the most`);
          run.offer(position, tokens);
        },
        cancel() {
          over();
          run.cancel();
        },
      };
    },
    close: () => engine.close(),
  };
}

/** The same engine, but that one pass, or one step of a run, fails. @param at counted from 1 */
export function failing(engine: Engine, at: number): Engine {
  let count = 0;
  const lost = () => new EngineError("decode_failed", "the engine failed on purpose");
  if (!isLive(engine)) {
    return withPass(engine, (items, done) => {
      if (++count !== at) {
        engine.pass(items, done);
        return;
      }
      // As the contract says: the KV of every slot in the pass is empty. A pass over one token at 0 makes it so.
      const emptied = items.map(({ slot, tokens }) => {
        return { slot, from: 0, tokens: tokens.slice(0, 1), questions: [], hold: false };
      });
      engine.pass(emptied, () => done(lost(), []));
    });
  }
  const { info, capabilities, runs } = engine;
  return {
    ...{ info, capabilities, runs },
    open(request, listener) {
      const run = engine.open(request, {
        committed(step) {
          if (++count !== at) {
            listener.committed(step);
            return;
          }
          run.cancel();
          listener.failed(lost());
        },
        ended: () => listener.ended(),
        failed: (error) => listener.failed(error),
      });
      return run;
    },
    close: () => engine.close(),
  };
}
