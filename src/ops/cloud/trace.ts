import type { CloudObserver, PassReport } from "../../cloud/core/observer.ts";
import type { SessionEnded, SessionOpened } from "../../cloud/core/session.ts";
import { policyLabel } from "../../decoding/policy.ts";
import type { Frame } from "../../protocol/frame.ts";
import type { Clock } from "../../util/clock.ts";
import { frameArguments } from "../frame-arguments.ts";
import { sessionTag } from "../session-tag.ts";
import type { TraceFile, Track } from "../trace-file.ts";

const PROCESS = 2;
const PASSES: Track = { pid: PROCESS, tid: 0 };

interface Open {
  readonly track: Track;
  readonly session: SessionOpened;
  readonly sinceMs: number;
}

/** The passes of a cloud on one line, and a line for each session: its passes, and its frames. */
export class CloudTrace implements CloudObserver {
  private readonly file: TraceFile;
  private readonly clock: Clock;
  private readonly open = new Map<number, Open>();
  private readonly byName = new Map<string, Open>();

  /** The file stays the caller's to close. */
  constructor(file: TraceFile, clock: Clock) {
    this.file = file;
    this.clock = clock;
    file.name(PASSES, "process_name", "cloud");
    file.name(PASSES, "thread_name", "passes");
  }

  opened(session: SessionOpened): void {
    const { key, connection, id } = session.identity;
    const track = { pid: PROCESS, tid: key };
    const open = { track, session, sinceMs: this.clock.nowMs() };
    this.open.set(key, open);
    this.byName.set(nameOf(connection, id), open);
    this.file.name(track, "thread_name", `session ${key}`);
  }

  ended({ identity, reason, code, usage }: SessionEnded): void {
    const open = this.open.get(identity.key);
    if (!open) return;
    this.open.delete(identity.key);
    this.byName.delete(nameOf(identity.connection, identity.id));
    const { session, track, sinceMs } = open;
    const { promptTokens, committedTokens, targetPasses, targetRows } = usage;
    this.file.span(track, policyLabel(session.policy), sinceMs, this.clock.nowMs(), {
      ...{
        connection: identity.connection,
        session: identity.id,
        trace: sessionTag(identity.secret) ?? null,
      },
      ...{ promptTokens, committedTokens, passes: targetPasses, rows: targetRows },
      ...{ reason: reason ?? "failed", code },
    });
  }

  received(connection: number, frame: Frame, bytes: number): void {
    this.frame(connection, frame, bytes, "received");
  }

  sent(connection: number, frame: Frame, bytes: number): void {
    this.frame(connection, frame, bytes, "sent");
  }

  passEnded({ startedMs, tookMs, sessions, fedTokens, rows, accepted, rejected, failed }: PassReport): void {
    const endedMs = startedMs + tookMs;
    const args = { sessions: sessions.length, fedTokens, rows, accepted, rejected, failed };
    this.file.span(PASSES, "pass", startedMs, endedMs, args);
    for (const key of sessions) {
      // One that ended meanwhile has no line any more.
      const open = this.open.get(key);
      if (open) this.file.span(open.track, "in pass", startedMs, endedMs);
    }
  }

  private frame(connection: number, frame: Frame, bytes: number, way: string): void {
    if (!("session" in frame)) return;
    const open = this.byName.get(nameOf(connection, frame.session));
    if (open)
      this.file.instant(open.track, `${way} ${frame.type}`, this.clock.nowMs(), frameArguments(frame, bytes));
  }
}

function nameOf(connection: number, session: number): string {
  return `${connection} ${session}`;
}
