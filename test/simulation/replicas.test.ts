import { afterEach, describe, expect, it, vi } from "vitest";
import { Links } from "../../src/edge/links.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import { trySeed } from "../fuzz/search.ts";

/**
 * Edges that know several clouds with one target, in worlds in which these are drained, die and come back, and links
 * break: every answer is what it would have been at one cloud, or is finished where it began.
 */
const SEEDS = 800;

it(`replicas that are drained change no text, in ${SEEDS} worlds`, () => {
  const happened = new Map<string, number>();
  for (let seed = 0; seed < SEEDS; seed++) {
    for (const [name, count] of trySeed(seed, undefined, "drain").happened)
      happened.set(name, (happened.get(name) ?? 0) + count);
  }
  // A search that never meets something proves nothing about it.
  const least: Record<string, number> = {
    "server drain": 1500,
    "frame goAway": 300,
    "old link done": 40,
    "old link verdict": 400,
    resumed: 700,
    "resumed within a draw": 3,
  };
  for (const [name, count] of Object.entries(least)) {
    expect(happened.get(name) ?? 0, name).toBeGreaterThanOrEqual(count);
  }
});

// biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
type Inside = any;
type Instead = (self: Inside, real: (...args: Inside[]) => Inside, args: Inside[]) => unknown;

/** What the search says first of an edge one of whose methods does something else. */
function found(type: { readonly prototype: Inside }, method: string, instead: Instead): string {
  const real = type.prototype[method];
  vi.spyOn(type.prototype, method).mockImplementation(function (this: Inside, ...args: Inside[]) {
    return instead(this, (...given) => real.apply(this, given), args);
  });
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      trySeed(seed, undefined, "drain");
    } catch (error) {
      return (error as Error).message;
    }
  }
  return "nothing";
}

describe("control: the search catches", () => {
  afterEach(() => vi.restoreAllMocks());

  it.each<readonly [string, { readonly prototype: Inside }, string, Instead, RegExp]>([
    [
      "sessions of a link that ended, which are not resumed",
      RemoteOpener,
      "resumeAll",
      () => {},
      /integrity: .* waits for a link that is there|outcome: .* never ends/,
    ],
    [
      "sessions of a draining link, of whose end they do not hear",
      RemoteOpener,
      "down",
      () => {},
      /integrity: .* is over a link that is gone/,
    ],
    [
      "a draining link that is kept when its last session has ended",
      Links,
      "noteExpected",
      (self) => {
        for (const link of self.all()) link.expect(self.handlers.expects(link));
      },
      /integrity: .* a draining link is kept for nothing/,
    ],
    [
      "a goAway after which no other link is made",
      Links,
      "drain",
      (self, real, args) => {
        real(...args);
        self.cancelRetry?.();
      },
      /outcome: .* never ends/,
    ],
  ])("%s", (_, type, method, instead, says) => {
    expect(found(type, method, instead)).toMatch(says);
  });
});
