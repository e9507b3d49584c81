import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../util/virtual-clock.ts";
import { HttpServer } from "./http.ts";
import type { ServerFacts } from "./probe.ts";
import { Upstream, Upstreams } from "./upstream.ts";

const TOKENS = Int32Array.from({ length: 200 }, (_, i) => i);

function servers(count: number, runs: number) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const all = Array.from({ length: count }, (_, i) => {
    const http = new HttpServer({ url: `http://127.0.0.1:${9000 + i}`, apiKey: null, clock });
    return new Upstream(http, {} as ServerFacts, [], (line) => lines.push(line));
  });
  const options = { clock, key: 12_345n, runs, told: (line: string) => lines.push(line) };
  return { all, clock, lines, upstreams: new Upstreams(all, options) };
}

describe("a run gets no server", () => {
  it("that is at its bound, whatever of its prompt is there", () => {
    const { all, upstreams } = servers(2, 4);
    const first = upstreams.choose(TOKENS, "a", null);
    first.runs = 4;
    const other = all.find((one) => one !== first)!;
    other.runs = 3;
    expect(upstreams.choose(TOKENS, "a", null)).toBe(other);
    // Also where the only one with room has lost this run, or rests.
    upstreams.rest(other, "it is away");
    expect(upstreams.choose(TOKENS, "a", other)).toBe(other);
  });

  it("that rests, and the operator is told once", () => {
    const { all, clock, lines, upstreams } = servers(2, 4);
    const [first, second] = all as [Upstream, Upstream];
    upstreams.rest(first, "it is away");
    upstreams.rest(first, "it is away");
    expect(lines).toEqual(["no run begins there for 2 s: it is away"]);
    second.runs = 3;
    expect(upstreams.choose(TOKENS, "a", null)).toBe(second);
    expect(upstreams.hasAnother(second)).toBe(false);
    clock.schedule(2000, () => {});
    clock.run();
    expect(upstreams.hasAnother(second)).toBe(true);
    expect(upstreams.choose(TOKENS, "b", null)).toBe(first);
  });

  it("that has just lost it, where there is another", () => {
    const { all, upstreams } = servers(2, 4);
    for (const one of all) expect(upstreams.choose(TOKENS, "a", one)).not.toBe(one);
  });
});
