import { policyLabel } from "../../decoding/policy.ts";
import type { AnswerObserver, ObservedAnswer } from "../../edge/observer.ts";
import type { Clock } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";
import { sessionTag } from "../session-tag.ts";

/** One line an answer. Counts alone: no text, no tokens, no secret. @param request id of the HTTP request */
export function answerAudit(log: Log, clock: Clock, request: string): AnswerObserver {
  let answer: ObservedAnswer | null = null;
  return {
    opened(opened) {
      answer = opened;
      const { promptTokens } = opened;
      log.debug({ ...names(opened, request), promptTokens }, "answer opened");
    },
    finished(outcome) {
      if (!answer) return;
      const { statistics, promptTokens } = answer;
      const { tokens, drafted, accepted, rejected, rollbacks, resumptions } = statistics;
      const { startedMs, firstTokenMs } = statistics;
      const done = outcome.kind === "done";
      log[done ? "info" : "warn"](
        {
          ...names(answer, request),
          ...{ promptTokens, tokens, drafted, accepted, rejected, rollbacks, resumptions },
          ...(firstTokenMs < 0 ? {} : { firstTokenMs: Math.round(firstTokenMs - startedMs) }),
          ms: Math.round(clock.nowMs() - startedMs),
          // The message of an error may quote what was asked.
          ...(done ? { reason: outcome.reason } : { reason: "failed", code: outcome.code }),
        },
        "answer ended",
      );
    },
  };
}

function names({ session, secret, settings }: ObservedAnswer, request: string) {
  return { request, session, trace: sessionTag(secret), policy: policyLabel(settings.policy) };
}
