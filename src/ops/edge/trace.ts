import { policyLabel } from "../../decoding/policy.ts";
import type { AnswerObserver, ObservedAnswer } from "../../edge/observer.ts";
import type { Clock } from "../../util/clock.ts";
import { frameArguments } from "../frame-arguments.ts";
import { sessionTag } from "../session-tag.ts";
import type { TraceFile } from "../trace-file.ts";

const PROCESS = 1;

/** The answers of an edge, a line each: draft steps, frames, rollbacks. */
export class EdgeTrace {
  private readonly file: TraceFile;
  private readonly clock: Clock;
  private answers = 0;

  /** The file stays the caller's to close. */
  constructor(file: TraceFile, clock: Clock) {
    this.file = file;
    this.clock = clock;
    file.name({ pid: PROCESS, tid: 0 }, "process_name", "edge");
  }

  /** For one answer. @param request id of the HTTP request; null: there is none */
  observer(request: string | null = null): AnswerObserver {
    const { file, clock } = this;
    const track = { pid: PROCESS, tid: ++this.answers };
    let answer: ObservedAnswer | null = null;
    let [sinceMs, draftingSinceMs] = [0, 0];
    return {
      opened(opened) {
        answer = opened;
        sinceMs = clock.nowMs();
        file.name(track, "thread_name", `answer ${track.tid}`);
      },
      sent: (frame, bytes) =>
        file.instant(track, `sent ${frame.type}`, clock.nowMs(), frameArguments(frame, bytes)),
      received: (frame, bytes) =>
        file.instant(track, `received ${frame.type}`, clock.nowMs(), frameArguments(frame, bytes)),
      drafting() {
        draftingSinceMs = clock.nowMs();
      },
      drafted(position, source) {
        const name = source === null ? "no draft" : "draft";
        file.span(track, name, draftingSinceMs, clock.nowMs(), { position, source });
      },
      rolledBack: (position, discarded) =>
        file.instant(track, "rollback", clock.nowMs(), { position, discarded }),
      finished(outcome) {
        if (!answer) return;
        const { session, secret, settings, promptTokens, statistics } = answer;
        const { tokens, drafted, accepted, rejected, rollbacks } = statistics;
        file.span(track, policyLabel(settings.policy), sinceMs, clock.nowMs(), {
          ...{ session, trace: sessionTag(secret) ?? null, request },
          ...{ promptTokens, tokens, drafted, accepted, rejected, rollbacks },
          ...(outcome.kind === "done" ? { reason: outcome.reason } : { reason: "failed" }),
        });
      },
    };
  }
}
