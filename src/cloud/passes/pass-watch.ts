import { type PassResult, rowsOf } from "../../engine/engine.ts";
import type { Answer, Question } from "../../sampling/question.ts";
import type { Clock } from "../../util/clock.ts";
import type { CloudObserver } from "../core/observer.ts";
import type { PassShare } from "./machine.ts";

/** Measures passes for an observer: one report a pass. */
export class PassWatch {
  private readonly observer: CloudObserver;
  private readonly clock: Clock;
  private startedMs = 0;

  constructor(observer: CloudObserver, clock: Clock) {
    this.observer = observer;
    this.clock = clock;
  }

  began(): void {
    this.startedMs = this.clock.nowMs();
  }

  /** @param results in the order of the shares; null: the model failed */
  ended(shares: readonly PassShare[], results: readonly PassResult[] | null): void {
    if (!this.observer.passEnded) return;
    const { startedMs } = this;
    const tookMs = this.clock.nowMs() - startedMs;
    const sessions: number[] = [];
    let [fedTokens, rows, accepted, rejected] = [0, 0, 0, 0];
    for (const [i, share] of shares.entries()) {
      sessions.push(share.session);
      fedTokens += share.tokens.length;
      rows += rowsOf(share);
      const answers = results?.[i]?.answers ?? [];
      for (let j = 0; j < answers.length; j++) {
        if (share.questions[j]!.ask !== "decide") continue;
        if (answers[j]!.kind === "accepted") accepted++;
        else rejected++;
      }
    }
    const failed = results === null;
    this.observer.passEnded({ startedMs, tookMs, sessions, fedTokens, rows, accepted, rejected, failed });
  }

  /** A held row answered. */
  asked(session: number, question: Question, answer: Answer): void {
    if (question.ask === "decide") this.observer.judged?.(session, answer.kind === "accepted");
  }
}
