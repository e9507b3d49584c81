import { expect, it } from "vitest";
import { fuzzBodies, fuzzFrames } from "../fuzz/peers.ts";

/** A short form of `npm run fuzz:peers`: whatever comes, it is answered or refused, and nothing is kept of it. */

it("fuzzed frames are answered or refused by name, and leave nothing behind", async () => {
  const { counts } = await fuzzFrames(10_000, 3);
  for (const kind of [
    "answer welcome",
    "answer verdict",
    "answer pong",
    "error bad_frame",
    "error unexpected_frame",
  ]) {
    expect(counts.get(kind), kind).toBeGreaterThan(10);
  }
  expect([...counts.keys()].filter((name) => name.includes("internal"))).toEqual([]);
});

it("fuzzed HTTP bodies are answered or refused with a status of the client's, and none is a fault", async () => {
  const { counts } = await fuzzBodies(1000, 3);
  expect([...counts.keys()].filter((name) => !/^(200|400|413) /.test(name))).toEqual([]);
  expect(counts.get("200 answer")).toBeGreaterThan(50);
  expect(counts.get("400 invalid_value")).toBeGreaterThan(100);
});
