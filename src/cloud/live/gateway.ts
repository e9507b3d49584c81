import type { LiveEngine, LiveRequest, LiveRun } from "../../engine/live-engine.ts";
import { assert, unreachable } from "../../util/assert.ts";
import { PicoSpecError } from "../../util/errors.ts";
import type { Performer } from "../core/machine.ts";
import type { LiveEffect, LiveEvent } from "./machine.ts";

/** Carries runs and offers to a live engine, and brings back what it commits. One run a session. */
export class Gateway implements Performer<LiveEffect> {
  private readonly engine: LiveEngine;
  private readonly tell: (event: LiveEvent) => void;
  private readonly running: () => number;
  private readonly runs = new Map<number, LiveRun>();

  /**
   * @param tell gets what the engine says
   * @param running how many sessions believe that they have a run
   */
  constructor(engine: LiveEngine, tell: (event: LiveEvent) => void, running: () => number) {
    this.engine = engine;
    this.tell = tell;
    this.running = running;
  }

  /** A cancelled run leaves nothing: there is no end to wait for. */
  get busy(): boolean {
    return false;
  }

  perform(effect: LiveEffect): void {
    switch (effect.kind) {
      case "run":
        this.run(effect.session, effect.run, effect.request);
        break;
      case "offer":
        this.runs.get(effect.session)?.offer(effect.position, effect.tokens);
        break;
      case "cancelRun":
        this.runs.get(effect.session)?.cancel();
        this.runs.delete(effect.session);
        break;
      default:
        unreachable(effect);
    }
  }

  checkIntegrity(): void {
    const running = this.running();
    assert(this.runs.size === running, `${this.runs.size} runs are open for ${running} sessions`);
  }

  private run(session: number, run: number, request: LiveRequest): void {
    assert(!this.runs.has(session), "a session has one run at a time");
    /** The run is over by itself: there is nothing to cancel. */
    const over = () => this.runs.delete(session);
    try {
      const opened = this.engine.open(request, {
        committed: (step) => this.tell({ kind: "committed", session, run, step }),
        ended: () => {
          over();
          this.tell({ kind: "runEnded", session, run });
        },
        failed: ({ code, message }) => {
          over();
          this.tell({ kind: "runFailed", session, run, code, message });
        },
      });
      this.runs.set(session, opened);
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      this.tell({ kind: "runFailed", session, run, code: error.code, message: error.message });
    }
  }
}
