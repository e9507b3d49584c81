import { describe, expect, it } from "vitest";
import { steadySchedule, World } from "../../../test/support/world.ts";
import type { CloudObserver } from "../../cloud/core/observer.ts";
import type { SessionIdentity } from "../../cloud/core/session.ts";
import { POLICIES } from "../../decoding/policy.ts";
import { toSeed } from "../../sampling/random.ts";
import type { Log, LogFields } from "../../util/log.ts";
import { VirtualClock } from "../../util/virtual-clock.ts";
import { answerAudit } from "../edge/audit.ts";
import { answerObservedByAll } from "../edge/together.ts";
import { CloudAudit } from "./audit.ts";
import { observedByAll } from "./together.ts";

type Line = LogFields & { readonly level: string; readonly message: string };

function written(): { readonly log: Log; readonly lines: Line[] } {
  const lines: Line[] = [];
  const at = (level: string) => (fields: LogFields, message: string) => {
    lines.push({ ...fields, level, message } as Line);
  };
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

const language = {
  seed: toSeed(1),
  vocabularySize: 24,
  order: 2,
  spread: 5,
  divergence: 1,
  contextTokens: 300,
};

describe("the audit", () => {
  it("has one line a session on each side, which share what they count", () => {
    const [cloud, edge] = [written(), written()];
    const world = new World({
      ...{ language, schedule: steadySchedule(20, 10, 2), random: () => 0.5 },
      observer: (clock) => observedByAll([new CloudAudit(cloud.log, clock)]),
    });
    const observer = answerObservedByAll([answerAudit(edge.log, world.clock, "r-1")]);
    const run = world.generate(POLICIES.race, [1, 2, 3], toSeed(1), 20, { listener: { observer } });
    world.clock.run();
    const { tokens, usage, accepted } = run.statistics!;
    const info = ({ lines }: typeof cloud) => lines.filter(({ level }) => level === "info");
    expect(info(cloud)).toEqual([
      expect.objectContaining({
        ...{
          message: "session ended",
          principal: "connection 1",
          session: 1,
          policy: "race",
          promptTokens: 3,
        },
        ...{ committedTokens: tokens, passes: usage!.targetPasses, rows: usage!.targetRows },
        ...{ reusedTokens: usage!.reusedTokens, reason: expect.stringMatching(/end|length/) },
      }),
    ]);
    expect(info(edge)).toEqual([
      expect.objectContaining({
        ...{ message: "answer ended", request: "r-1", session: 1, policy: "race", promptTokens: 3 },
        ...{ tokens, accepted, reason: info(cloud)[0]!.reason },
      }),
    ]);
  });

  it("says by which code a session ended that no answer of its own ended", () => {
    const { log, lines } = written();
    const world = new World({
      ...{ language, schedule: steadySchedule(20, 10, 2), random: () => 0.5 },
      observer: (clock) => new CloudAudit(log, clock),
    });
    world.generate(POLICIES.race, [1, 2, 3], toSeed(1), 100);
    world.clock.schedule(45, () => world.cloud.close());
    world.clock.run();
    expect(lines.filter(({ message }) => message === "session ended")).toEqual([
      expect.objectContaining({ reason: "failed", code: "shutting_down" }),
    ]);
    expect(lines).toContainEqual(expect.objectContaining({ message: "error sent", code: "shutting_down" }));
  });

  it("names a session by a part of its secret's hash: both sides alike, and never the secret", () => {
    const secret = "a-secret-that-resumes-a-session";
    const identity: SessionIdentity = {
      ...{
        key: 7,
        connection: 2,
        weight: 1,
        isKeyed: true,
        principal: "team-a",
        id: 4,
        secret,
        resumeKey: secret,
        epoch: 0,
      },
    };
    const { log, lines } = written();
    const observer: CloudObserver = new CloudAudit(log, new VirtualClock());
    const usage = {
      ...{
        promptTokens: 3,
        committedTokens: 1,
        targetPasses: 1,
        targetRows: 1,
        targetMs: 1,
        prefillPasses: 0,
      },
      ...{ fedTokens: 1, evictions: 0, reusedTokens: 0 },
    };
    observer.opened?.({ identity, policy: POLICIES.race, promptTokens: 3, tokens: 3 });
    observer.ended?.({ identity, code: null, reason: "end", usage });
    const edge = written();
    const settings = { policy: POLICIES.race, maxTokens: 1, seed: toSeed(1) } as never;
    const statistics = { startedMs: 0, firstTokenMs: -1 } as never;
    const audit = answerAudit(edge.log, new VirtualClock(), "r");
    audit.opened?.({ session: 4, secret, settings, promptTokens: 3, statistics });
    expect(JSON.stringify([lines, edge.lines])).not.toContain(secret.slice(0, 8));
    expect(lines.map(({ trace }) => trace)).toEqual([edge.lines[0]!.trace, edge.lines[0]!.trace]);
    expect(lines[0]!.trace).toMatch(/^[0-9a-f]{12}$/);
  });
});
