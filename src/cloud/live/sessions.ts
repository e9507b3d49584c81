import { assert, unreachable } from "../../util/assert.ts";
import type { CloudEffect, EngineSessions, Opening, SessionView } from "../core/machine.ts";
import type { Registry } from "../core/registry.ts";
import type { LiveEffect, LiveEvent, LiveLimits } from "./machine.ts";
import { LiveSession } from "./session.ts";

type Effects = CloudEffect<LiveEffect>[];

/** The sessions over a live engine: who has one of its runs, and whose turn is next. */
export class LiveSessions implements EngineSessions<LiveSession, LiveEvent, LiveEffect> {
  private readonly registry: Registry<LiveSession, LiveEffect>;
  private readonly limits: LiveLimits;
  /** in the order in which they were opened, or began to wait for another run */
  private readonly sessions = new Map<number, LiveSession>();

  constructor(registry: Registry<LiveSession, LiveEffect>, limits: LiveLimits) {
    this.registry = registry;
    this.limits = limits;
  }

  /** Sessions that have a run. */
  get running(): number {
    let running = 0;
    for (const session of this.sessions.values()) if (session.isRunning) running++;
    return running;
  }

  open(opening: Opening<LiveSession>, nowMs: number): LiveSession {
    const session = new LiveSession(opening, this.limits, nowMs);
    this.sessions.set(opening.identity.key, session);
    return session;
  }

  forget(): void {
    this.dropEnded();
  }

  react(event: LiveEvent, nowMs: number, out: Effects): void {
    const session = this.registry.get(event.session);
    if (!session) return; // it ended while the engine was speaking
    this.registry.run(session, out, () => {
      switch (event.kind) {
        case "committed":
          session.committed(event.run, event.step, nowMs, out);
          break;
        case "runEnded":
          session.runEnded(event.run);
          break;
        case "runFailed":
          session.runFailed(event.run, event.code, event.message);
          break;
        default:
          unreachable(event);
      }
    });
  }

  /** Gives free runs to sessions that wait: to the principal that has fewest for its weight, and there the oldest. */
  goOn(nowMs: number, out: Effects): number {
    this.dropEnded();
    let free = this.limits.runs - this.running;
    for (let next = this.nextInTurn(); free > 0 && next; next = this.nextInTurn()) {
      next.run(nowMs, out);
      free--;
    }
    return Number.POSITIVE_INFINITY;
  }

  private nextInTurn(): LiveSession | null {
    const running = new Map<string, number>();
    for (const { isRunning, identity } of this.sessions.values()) {
      if (isRunning) running.set(identity.principal, (running.get(identity.principal) ?? 0) + 1);
    }
    let next: LiveSession | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const session of this.sessions.values()) {
      const { principal, weight } = session.identity;
      const part = (running.get(principal) ?? 0) / weight;
      if (!session.waits || part >= least) continue;
      next = session;
      least = part;
    }
    return next;
  }

  views(): SessionView[] {
    return [...this.sessions.values()].map((session) => session.view());
  }

  checkIntegrity(atRest: boolean): void {
    const { limits, running, sessions } = this;
    assert(running <= limits.runs, `${running} runs, and ${limits.runs} is the most`);
    const waiting = [...sessions.values()].some((session) => session.waits);
    assert(!waiting || running === limits.runs, "a session waits while a run is free");
    for (const [key, session] of sessions) {
      assert(this.registry.get(key) === session || session.ended, `session ${key} is not registered`);
    }
    assert(!atRest || sessions.size === 0, `a cloud at rest is left with ${sessions.size} sessions`);
  }

  private dropEnded(): void {
    for (const [key, session] of this.sessions) if (session.ended) this.sessions.delete(key);
  }
}
