import type { PassEngine } from "../../engine/engine.ts";
import { assert } from "../../util/assert.ts";
import type { EngineKind } from "../core/machine.ts";
import type { KvCacheLimits, PassEffect, PassEvent, PassLimits } from "./machine.ts";
import type { PassWatch } from "./pass-watch.ts";
import type { PassSession } from "./session.ts";
import { PassSessions } from "./sessions.ts";
import { Verifier } from "./verifier.ts";

/** Sessions that are verified by passes which this cloud schedules. */
export function passKind(
  model: PassEngine,
  limits: PassLimits & KvCacheLimits,
  watch: PassWatch | null = null,
): EngineKind<PassSession, PassEvent, PassEffect> {
  let sessions: PassSessions | null = null;
  return {
    sessions(registry) {
      sessions = new PassSessions(registry, limits);
      return sessions;
    },
    performer: (tell) =>
      new Verifier(
        model,
        tell,
        () => {
          assert(sessions, "a verifier is for the sessions of its kind");
          return sessions.heldRows;
        },
        watch,
      ),
  };
}
