import type { CloudObserver } from "../../cloud/core/observer.ts";
import type { SessionEnded, SessionOpened } from "../../cloud/core/session.ts";
import { policyLabel } from "../../decoding/policy.ts";
import type { Frame } from "../../protocol/frame.ts";
import type { Clock } from "../../util/clock.ts";
import type { Log } from "../../util/log.ts";
import { sessionTag } from "../session-tag.ts";

/** One line a session: who took what of the target, and how it ended. Counts alone: no text, no tokens, no secret. */
export class CloudAudit implements CloudObserver {
  private readonly log: Log;
  private readonly clock: Clock;
  private readonly open = new Map<number, { readonly session: SessionOpened; readonly sinceMs: number }>();

  constructor(log: Log, clock: Clock) {
    this.log = log;
    this.clock = clock;
  }

  connected(connection: number): void {
    this.log.debug({ connection }, "connected");
  }

  disconnected(connection: number): void {
    this.log.debug({ connection }, "disconnected");
  }

  refused(code: string): void {
    this.log.warn({ code }, "refused at the door");
  }

  sent(connection: number, frame: Frame): void {
    // Its message may quote what the edge sent.
    if (frame.type !== "error") return;
    const session = frame.session === 0 ? undefined : frame.session;
    this.log.warn({ connection, session, code: frame.code }, "error sent");
  }

  opened(session: SessionOpened): void {
    this.open.set(session.identity.key, { session, sinceMs: this.clock.nowMs() });
    const { promptTokens, policy } = session;
    const fields = { ...names(session), policy: policyLabel(policy), promptTokens };
    this.log.debug(fields, "session opened");
  }

  ended({ identity, reason, code, usage }: SessionEnded): void {
    const open = this.open.get(identity.key);
    if (!open) return;
    this.open.delete(identity.key);
    const { session, sinceMs } = open;
    const { promptTokens, committedTokens, targetPasses, targetRows, reusedTokens } = usage;
    this.log.info(
      {
        ...names(session),
        policy: policyLabel(session.policy),
        promptTokens,
        committedTokens: committedTokens - (session.tokens - session.promptTokens),
        ...{ passes: targetPasses, rows: targetRows, reusedTokens },
        ms: Math.round(this.clock.nowMs() - sinceMs),
        reason: reason ?? "failed",
        ...(code === null ? {} : { code }),
      },
      "session ended",
    );
  }
}

/** Of both sides: `session` is what the edge calls it, `trace` what both sides' lines share. */
function names({ identity }: SessionOpened) {
  const { principal, key, connection, id, secret, epoch } = identity;
  return { principal, key, connection, session: id, trace: sessionTag(secret), epoch };
}
