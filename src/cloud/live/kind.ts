import type { LiveEngine } from "../../engine/live-engine.ts";
import { assert } from "../../util/assert.ts";
import type { EngineKind } from "../core/machine.ts";
import { Gateway } from "./gateway.ts";
import type { LiveEffect, LiveEvent, LiveLimits } from "./machine.ts";
import type { LiveSession } from "./session.ts";
import { LiveSessions } from "./sessions.ts";

/** Sessions that are verified by an engine which decodes by itself. */
export function liveKind(
  engine: LiveEngine,
  limits: LiveLimits,
): EngineKind<LiveSession, LiveEvent, LiveEffect> {
  let sessions: LiveSessions | null = null;
  return {
    sessions(registry) {
      sessions = new LiveSessions(registry, limits);
      return sessions;
    },
    performer: (tell) =>
      new Gateway(engine, tell, () => {
        assert(sessions, "a gateway is for the sessions of its kind");
        return sessions.running;
      }),
  };
}
