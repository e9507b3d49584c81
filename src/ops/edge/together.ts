import type { AnswerObserver } from "../../edge/observer.ts";

/** Several observers as one. */
export function answerObservedByAll(observers: readonly AnswerObserver[]): AnswerObserver {
  return {
    opened: (answer) => {
      for (const one of observers) one.opened?.(answer);
    },
    sent: (frame, bytes) => {
      for (const one of observers) one.sent?.(frame, bytes);
    },
    received: (frame, bytes) => {
      for (const one of observers) one.received?.(frame, bytes);
    },
    drafting: (position) => {
      for (const one of observers) one.drafting?.(position);
    },
    drafted: (position, source) => {
      for (const one of observers) one.drafted?.(position, source);
    },
    rolledBack: (position, discarded) => {
      for (const one of observers) one.rolledBack?.(position, discarded);
    },
    finished: (outcome) => {
      for (const one of observers) one.finished?.(outcome);
    },
  };
}
