import { expect, it } from "vitest";
import type { OfflineMode } from "../edge/edge.ts";
import type { CloudState } from "../edge/keeper.ts";
import { PicoSpecError } from "../util/errors.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { linkProblem, serveEndpoint } from "./endpoint.ts";

function edgeOf(needsCloud: boolean, offline: OfflineMode = "wait") {
  const edge = {
    needsCloud,
    offline,
    cloud: null as CloudState | null,
    tries: 0,
    answerer(): Promise<never> {
      edge.tries++;
      return Promise.reject(new Error("no cloud answers"));
    },
  };
  return edge;
}

it("an edge whose policy needs no cloud can always answer", () => {
  const edge = edgeOf(false);
  expect(linkProblem([edge], new VirtualClock())()).toBe(null);
  expect(edge.tries).toBe(0);
});

it("a probe that finds no link has the edge try for one, and many probes no oftener than every five seconds", () => {
  const edge = edgeOf(true);
  const clock = new VirtualClock();
  const problem = linkProblem([edge], clock);
  for (let i = 0; i < 100; i++) {
    clock.schedule(i * 100, () => expect(problem()).toBe("no link to the cloud"));
  }
  clock.run();
  expect(edge.tries).toBe(2);
  edge.cloud = { up: true, error: null };
  expect(problem()).toBe(null);
  edge.cloud = { up: false, error: null };
  expect(problem()).toBe("no link to the cloud");
  edge.cloud = { up: false, error: new PicoSpecError("unreachable", "no cloud answers") };
  expect(problem()).toBe("no link to the cloud: no cloud answers");
});

it("an edge whose small model stands in is ready without its cloud, and so is one of several that has its cloud", () => {
  expect(linkProblem([edgeOf(true, "edge")], new VirtualClock())()).toBe(null);
  const [away, there] = [edgeOf(true), edgeOf(true)];
  there.cloud = { up: true, error: null };
  expect(linkProblem([away, there], new VirtualClock())()).toBe(null);
});

it("an origin that is no pattern is told before the endpoint listens", async () => {
  const origins = ["http://localhost:1", "https://ex*mple.com"];
  await expect(serveEndpoint([], { origins })).rejects.toThrow('"https://ex*mple.com" is no origin');
});
