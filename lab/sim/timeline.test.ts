import { describe, expect, it } from "vitest";
import { POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import { parseScenario } from "../models/scenario.ts";
import { scenarioNamed } from "../models/scenarios.ts";
import { runAnswers } from "./simulate.ts";
import { type FrameEvent, type Timeline, type TimelineEvent, timeline } from "./timeline.ts";

const laptop = { ...scenarioNamed("laptop-gpu"), answerTokens: 24 };
const phone = { ...scenarioNamed("phone-4g"), answerTokens: 24, disconnectsPerHour: 60 };
/** No chance in the network, and no rates. */
const still = parseScenario({
  rttMs: 60,
  upShare: 0.25,
  draftMs: 10,
  passMs: 100,
  passFreeRows: 100,
  acceptance: 0.7,
  acceptanceCoupled: 0.7,
  answerTokens: 40,
});
const named = (name: PolicyName) => ({ name, policy: POLICIES[name] });
const names = Object.keys(POLICIES) as PolicyName[];
const frames = ({ events }: Timeline) =>
  events.filter((event): event is FrameEvent => event.kind === "frame");
const ofKind = <K extends TimelineEvent["kind"]>({ events }: Timeline, kind: K) =>
  events.filter((event): event is Extract<TimelineEvent, { kind: K }> => event.kind === kind);

describe.each(names)("the timeline of %s", (name) => {
  it("is the same for the same seed, and another for another", () => {
    const first = timeline(phone, named(name), 7);
    expect(timeline(phone, named(name), 7)).toEqual(first);
    // Alone, the drafter meets no chance.
    if (POLICIES[name].target) expect(timeline(phone, named(name), 8).events).not.toEqual(first.events);
  });

  it("is the first answer of simulate", () => {
    const [answer] = runAnswers(laptop, POLICIES[name], { seed: 3, edges: 1, answers: 1 });
    const { statistics } = timeline(laptop, named(name), 3);
    expect({ ...statistics, startedMs: 0 }).toEqual({ ...answer, startedMs: 0 });
  });

  it("goes on in time, decides every position once, and ends", () => {
    const line = timeline(laptop, named(name), 1);
    const times = line.events.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    let next = laptop.promptTokens;
    for (const { tokens } of ofKind(line, "tokens")) {
      expect(tokens.from).toBe(next);
      next = tokens.to;
    }
    expect(next).toBe(laptop.promptTokens + 24);
    expect(line.events.at(-1)).toMatchObject({ kind: "done", reason: "length" });
  });

  it("has frames that take their part of the round trip, in the order in which they were sent", () => {
    const sent = frames(timeline(still, named(name), 1));
    expect(sent.length > 0).toBe(POLICIES[name].target);
    for (const { way, atMs, arrivesMs } of sent) {
      expect(arrivesMs - atMs).toBeCloseTo(way === "up" ? 15 : 45, 9);
    }
    for (const way of ["up", "down"] as const) {
      const jittered = frames(timeline(phone, named(name), 1)).filter((frame) => frame.way === way);
      const arrivals = jittered.map(({ arrivesMs }) => arrivesMs);
      expect(arrivals).toEqual([...arrivals].sort((a, b) => a - b));
    }
  });

  it("has passes that end when they should", () => {
    const line = timeline(still, named(name), 1);
    const [starts, ends] = [ofKind(line, "passStarts"), ofKind(line, "passEnds")];
    expect(starts.length).toBe(ends.length);
    const prompt = starts.findIndex(({ fedTokens }) => fedTokens < 100);
    for (const [i, { atMs, pass }] of starts.entries()) {
      expect(ends[i]!.pass).toBe(pass);
      if (i >= prompt) expect(ends[i]!.atMs - atMs).toBeCloseTo(100, 9);
    }
  });
});

it("shows the rejection, the rollback and the correction of a round", () => {
  const line = timeline(still, named("picospec"), 1);
  const verdict = frames(line).find(({ type, position }) => type === "verdict" && position !== null)!;
  const rollback = ofKind(line, "rollback")[0]!;
  const correction = ofKind(line, "tokens").find(({ origin }) => origin === "correction")!;
  expect([rollback.atMs, correction.atMs]).toEqual([verdict.arrivesMs, verdict.arrivesMs]);
  expect([rollback.discarded.from, correction.tokens.from]).toEqual([verdict.position, verdict.position]);
  const next = frames(line).find(
    ({ type, lineage }) => type === "draft" && lineage === verdict.lineage! + 1,
  )!;
  expect(next.tokens!.from).toBe(verdict.position);
});
