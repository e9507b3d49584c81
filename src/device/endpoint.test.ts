import { expect, it } from "vitest";
import { VirtualClock } from "../util/virtual-clock.ts";
import { linkProblem } from "./endpoint.ts";

function edgeOf(needsCloud: boolean) {
  const edge = {
    needsCloud,
    link: null as { isUp: boolean; rttMs: number; reconnects: number } | null,
    tries: 0,
    modelFor(): Promise<never> {
      edge.tries++;
      return Promise.reject(new Error("no cloud answers"));
    },
  };
  return edge;
}

it("an edge whose policy needs no cloud can always answer", () => {
  const edge = edgeOf(false);
  expect(linkProblem(edge, new VirtualClock())()).toBe(null);
  expect(edge.tries).toBe(0);
});

it("a probe that finds no link has the edge try for one, and many probes no oftener than every five seconds", () => {
  const edge = edgeOf(true);
  const clock = new VirtualClock();
  const problem = linkProblem(edge, clock);
  for (let i = 0; i < 100; i++) {
    clock.schedule(i * 100, () => expect(problem()).toBe("no link to the cloud"));
  }
  clock.run();
  expect(edge.tries).toBe(2);
  edge.link = { isUp: true, rttMs: 1, reconnects: 0 };
  expect(problem()).toBe(null);
  edge.link = { isUp: false, rttMs: 1, reconnects: 0 };
  expect(problem()).toBe("no link to the cloud");
});
