import { describe, expect, it } from "vitest";
import { FakeClock, FakeLink, welcome } from "../../test/support/fake-link.ts";
import { TARGET } from "../../test/support/target.ts";
import { POLICIES } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { type Frame, pongFor } from "../protocol/frame.ts";
import { toSeed } from "../sampling/random.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import { RemoteOpener, type RemoteOpenerOptions } from "./opener.ts";

/** Clouds that are of no use are given up in time; those that go away in order lose no session; replicas take over. */

const USAGE = {
  ...{ promptTokens: 1, committedTokens: 1, targetPasses: 1, targetRows: 1, targetMs: 1 },
  ...{ prefillPasses: 1, fedTokens: 1, evictions: 0, reusedTokens: 0 },
};

const QUESTION: SessionSettings = {
  ...{ policy: POLICIES.cloud, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 40 },
};

/** An edge with a session, and clouds behind each link that it makes. */
function trying(
  cloud: (link: FakeLink, nth: number, clock: FakeClock) => void,
  more: Partial<RemoteOpenerOptions> = {},
) {
  const clock = new FakeClock();
  const links: FakeLink[] = [];
  const dialledAtMs: number[] = [];
  const places: number[] = [];
  const make = (place: number) => {
    const link = new FakeLink();
    const nth = links.push(link) - 1;
    dialledAtMs.push(clock.nowMs());
    places.push(place);
    clock.schedule(clock.nowMs() + 1, () => cloud(link, nth, clock));
    return link;
  };
  const told: unknown[] = [];
  const tokens: number[] = [];
  const client = new RemoteOpener({
    link: make(0),
    reconnect: (done, replica) => done(null, make(replica)),
    reconnectWithinMs: 30_000,
    ...{ fingerprint: "", client: "c", clock, drafter: null, secret: () => "0123456789abcdef" },
    ready: () => {},
    ...more,
  });
  clock.runTo(2);
  const ask = () => {
    client.open(QUESTION, Int32Array.of(1), {
      token: (token) => tokens.push(token),
      finished: (outcome) => told.push(outcome),
    });
  };
  const check = () => client.checkIntegrity();
  return { clock, links, client, told, tokens, dialledAtMs, places, ask, check };
}

const verdict = (session: number, first: number, ...tokens: number[]): Frame => ({
  ...{ type: "verdict", session, lineage: 0, first, tokens: Int32Array.from(tokens) },
  ...{ rejection: null, logprobs: null },
});

describe("a cloud that is of no use is given up", () => {
  it("one that welcomes and drops, in the time that is given and with longer and longer waits", () => {
    const { clock, told, ask, dialledAtMs, check } = trying((link) => {
      link.says(welcome);
      link.breaks();
    });
    ask();
    clock.runTo(200_000);
    check();
    expect(told).toEqual([expect.objectContaining({ kind: "failed", code: "connection_lost" })]);
    const waitsMs = dialledAtMs.slice(1).map((atMs, i) => Math.round(atMs - dialledAtMs[i]! - 1));
    expect(waitsMs).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]);
  });

  it("one that commits a token each time and drops: only a finished answer sets the waits back", () => {
    let committed = 0;
    const { clock, told, tokens, ask, dialledAtMs, check } = trying((link, _, clock) => {
      link.says(welcome);
      if (committed > 0 || link.count("open") > 0) link.says(verdict(1, 1 + committed++, 7));
      clock.schedule(clock.nowMs() + 50, () => link.breaks());
    });
    ask();
    clock.runTo(600_000);
    check();
    expect(told).toEqual([expect.objectContaining({ kind: "failed", code: "connection_lost" })]);
    expect(tokens.length).toBeGreaterThan(5);
    expect(dialledAtMs.length).toBeLessThan(16);
    expect(dialledAtMs.at(-1)).toBeLessThan(40_000);
  });

  it("control: one whose link breaks now and then, and that finishes its answers, is not given up", () => {
    let answered = 0;
    const { clock, told, ask, check } = trying((link, _, clock) => {
      link.says(welcome);
      clock.schedule(clock.nowMs() + 1000, () => {
        for (const frame of link.sent.splice(0)) {
          if (frame.type !== "open") continue;
          link.says(verdict(frame.session, 1, 7));
          link.says({ type: "done", session: frame.session, reason: "end", usage: USAGE });
          answered++;
        }
        link.breaks();
      });
    });
    for (let i = 0; i < 100; i++) {
      ask();
      clock.runTo(clock.nowMs() + 3000);
    }
    check();
    expect(answered).toBe(100);
    expect(told).toEqual(Array(100).fill(expect.objectContaining({ kind: "done", reason: "end" })));
  });

  it("one that answers no hello, and one that goes silent after its welcome", () => {
    for (const says of [[], [welcome]]) {
      let first = true;
      const { clock, told, ask, check } = trying((link) => {
        for (const frame of first ? [welcome] : says) link.says(frame);
        first = false;
      });
      ask();
      clock.runTo(120_000);
      check();
      expect(told).toEqual([expect.objectContaining({ kind: "failed" })]);
    }
  });

  it("one that answers pings and never a question: that session ends after 600 s, and the link stays", () => {
    const { clock, told, links, client, ask, check } = trying((link) => link.says(welcome));
    ask();
    for (let s = 0; s < 620; s += 5) {
      clock.runTo(s * 1000 + 3);
      for (const frame of links[0]!.sent.splice(0)) if (frame.type === "ping") links[0]!.says(pongFor(frame));
    }
    check();
    expect(told).toEqual([expect.objectContaining({ kind: "failed", code: "silent_cloud" })]);
    expect([links.length, client.gone]).toEqual([1, false]);
  });

  it("waits are shortened by chance, so that a cloud's edges do not come back at once", () => {
    const { clock, ask, dialledAtMs } = trying(
      (link) => {
        link.says(welcome);
        link.breaks();
      },
      { random: () => 0.5 },
    );
    ask();
    clock.runTo(1000);
    expect(dialledAtMs.slice(1, 4).map((atMs, i) => atMs - dialledAtMs[i]! - 1)).toEqual([75, 150, 300]);
  });

  it("is not asked again before the time that it names, and not at all where that is too late", () => {
    for (const [retryAfterMs, gone] of [
      [9000, false],
      [40_000, true],
    ] as const) {
      const { clock, links, client, ask } = trying((link, nth) => {
        const full = {
          type: "error",
          session: 0,
          code: "server_full",
          message: "full",
          retryAfterMs,
        } as const;
        link.says(nth === 0 ? welcome : full);
      });
      ask();
      links[0]!.breaks();
      clock.runTo(8000);
      expect([client.gone, links.length]).toEqual([gone, 2]);
    }
  });
});

describe("a cloud that goes away in order", () => {
  /** Two replicas; the edge is at the first. */
  const pair = () => trying((link) => link.says(welcome), { replicas: () => 2 });

  it("finishes what runs over the old link, and new sessions go over a new one, to another replica", () => {
    const { clock, links, places, told, ask, check } = pair();
    ask();
    links[0]!.says({ type: "goAway", withinMs: 5000 });
    check();
    clock.runTo(1000);
    check();
    ask();
    expect(places).toEqual([0, 1]);
    expect(links.map((link) => link.count("open"))).toEqual([1, 1]);
    links[0]!.says(verdict(1, 1, 7));
    links[0]!.says({ type: "done", session: 1, reason: "end", usage: USAGE });
    check();
    expect(told).toEqual([expect.objectContaining({ kind: "done", reason: "end" })]);
    // The old link has nothing left, and is closed; what it still says is of no account.
    links[0]!.says(verdict(2, 1, 9));
    check();
    expect(links[0]!.closed).toBe(true);
    expect(links[1]!.closed).toBe(false);
  });

  it("what is not finished when the old link closes goes on over the new one, with what was committed", () => {
    for (const end of ["closes", "stays"] as const) {
      const { clock, links, tokens, ask, check } = pair();
      ask();
      links[0]!.says(verdict(1, 1, 7, 8));
      links[0]!.says({ type: "goAway", withinMs: 3000 });
      clock.runTo(2000);
      if (end === "closes") links[0]!.breaks();
      // A cloud that does not end the link itself is left by the edge.
      else clock.runTo(5100);
      check();
      const again = links[1]!.sent.find((frame) => frame.type === "open");
      expect(again).toMatchObject({ tokens: Int32Array.of(1, 7, 8), resume: { promptTokens: 1, epoch: 1 } });
      links[1]!.says(verdict(1, 3, 9));
      expect(tokens).toEqual([7, 8, 9]);
    }
  });

  it("a session whose open crossed the goAway goes on over the next link, and fails where there was no goAway", () => {
    for (const goesAway of [true, false]) {
      const { clock, links, told, ask, check } = pair();
      ask();
      if (goesAway) links[0]!.says({ type: "goAway", withinMs: 5000 });
      links[0]!.says({ type: "error", session: 1, code: "shutting_down", message: "no more sessions" });
      check();
      clock.runTo(1000);
      check();
      const failed = expect.objectContaining({ kind: "failed", code: "shutting_down" });
      expect(told).toEqual(goesAway ? [] : [failed]);
      expect(links[1]?.count("open")).toBe(goesAway ? 1 : undefined);
    }
  });

  it("sessions over the old link are not given up while no other cloud is there", () => {
    const { clock, links, client, told, ask, check } = trying(
      (link, nth) => (nth === 0 ? link.says(welcome) : link.breaks()),
      { replicas: () => 2, reconnectWithinMs: 1000 },
    );
    ask();
    links[0]!.says({ type: "goAway", withinMs: 60_000 });
    clock.runTo(15_000);
    check();
    links[0]!.says(verdict(1, 1, 7));
    links[0]!.says({ type: "done", session: 1, reason: "end", usage: USAGE });
    expect(told).toEqual([expect.objectContaining({ kind: "done" })]);
    clock.runTo(60_000);
    expect(client.gone).toBe(true);
  });

  it("each cloud that welcomes and goes away is a try like any other", () => {
    const { clock, dialledAtMs, ask, check } = trying((link) => {
      link.says(welcome);
      link.says({ type: "goAway", withinMs: 0 });
    });
    ask();
    clock.runTo(60_000);
    check();
    expect(dialledAtMs.length).toBeLessThan(25);
  });
});

describe("replicas", () => {
  it("that serve another target are not used, and the others are", () => {
    const other = { ...welcome, target: { ...TARGET, contextTokens: 9 } };
    const { clock, links, places, told, ask, check } = trying(
      (link, nth) => link.says(nth === 1 ? other : welcome),
      { replicas: () => 3 },
    );
    ask();
    for (let i = 0; i < 3; i++) {
      links.at(-1)!.breaks();
      clock.runTo(clock.nowMs() + 2000);
    }
    check();
    expect([places, told]).toEqual([[0, 1, 2, 0, 2], []]);
    expect(links.at(-1)!.count("open")).toBe(1);
  });

  it("that all serve another target than before end the answer, and the message names it", () => {
    const other = { ...welcome, target: { ...TARGET, contextTokens: 9 } };
    const { clock, links, told, ask } = trying((link, nth) => link.says(nth === 0 ? welcome : other), {
      replicas: () => 2,
    });
    ask();
    links[0]!.breaks();
    clock.runTo(5000);
    expect(told).toEqual([
      expect.objectContaining({ code: "other_target", message: expect.stringMatching(/context/) }),
    ]);
  });

  it("that refuse this edge are not asked again; where all do it fails at once", () => {
    const refuses = { type: "error", session: 0, code: "bad_key", message: "no" } as const;
    const { clock, links, client, ask } = trying((link, nth) => link.says(nth === 0 ? welcome : refuses), {
      replicas: () => 2,
    });
    ask();
    links[0]!.breaks();
    clock.runTo(5000);
    expect([client.failed?.code, links.length]).toEqual(["bad_key", 3]);
  });
});
