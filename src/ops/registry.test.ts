import { expect, it } from "vitest";
import { readExposition } from "../../test/support/exposition.ts";
import { exposition, one, pulledCounter, pulledGauge, serverRegistry } from "./registry.ts";

it("a counter that goes back for a moment is told as it was: a scraper would take it for a restart", async () => {
  const registry = serverRegistry("1");
  let value = 5;
  pulledCounter(registry, { name: "x_total", help: "x" }, () => one(value));
  pulledGauge(registry, { name: "y", help: "y" }, () => one(value));
  const told = async () => {
    const { samples } = readExposition(await exposition(registry));
    return [samples.get("x_total"), samples.get("y")];
  };
  expect(await told()).toEqual([5, 5]);
  value = 4;
  expect(await told()).toEqual([5, 4]);
  value = 7;
  expect(await told()).toEqual([7, 7]);
});

it("two servers in a process have registries of their own, and the process is measured once", async () => {
  const [first, second] = [serverRegistry("1"), serverRegistry("2")];
  pulledCounter(first, { name: "x_total", help: "x" }, () => one(1));
  pulledCounter(second, { name: "x_total", help: "x" }, () => one(2));
  const [one1, two2] = await Promise.all(
    [first, second].map(async (own) => readExposition(await exposition(own))),
  );
  expect([one1!.samples.get("x_total"), two2!.samples.get("x_total")]).toEqual([1, 2]);
  expect(one1!.samples.get("process_start_time_seconds")).toBe(
    two2!.samples.get("process_start_time_seconds"),
  );
});

it("control: the reader of these tests refuses what a scraper would", () => {
  expect(() => readExposition("a 1\n")).toThrow("without a type");
  expect(() => readExposition("# TYPE a counter\na 1\na 1\n")).toThrow("twice");
  expect(() => readExposition('# TYPE a gauge\na{b="c} 1\n')).toThrow("no sample");
  expect(() => readExposition("# TYPE a counter\na -1\n")).toThrow("below 0");
  const falls = '# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n';
  expect(() => readExposition(falls)).toThrow("falls");
});

it("one scrape is made for all that ask while it is under way, and a new one for the next", async () => {
  const registry = serverRegistry("1");
  let scrapes = 0;
  pulledGauge(registry, { name: "y", help: "y" }, () => one(++scrapes));
  const texts = await Promise.all(Array.from({ length: 50 }, () => exposition(registry)));
  expect([new Set(texts).size, scrapes]).toEqual([1, 1]);
  await exposition(registry);
  expect(scrapes).toBe(2);
});
