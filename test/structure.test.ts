import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/** What there is one of: a dispatch loop, a constructor of edge sessions, a place for q. */

interface Source {
  readonly path: string;
  readonly text: string;
}

const SOURCES: Source[] = ["src", "lab"]
  .flatMap((tree) => readdirSync(tree, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name))
  .map((path) => ({ path, text: readFileSync(path, "utf8") }));

const having = (pattern: RegExp, sources = SOURCES) =>
  sources.filter(({ text }) => pattern.test(text)).map(({ path }) => path);

/** Takes events from a queue one by one and has a machine handle each. */
function dispatchLoops(sources: readonly Source[]): string[] {
  return sources
    .filter(({ text }) => /\.shift\(\)/.test(text) && /\.handle\(/.test(text))
    .map(({ path }) => path);
}

describe("there is one", () => {
  it("loop that runs machines, and one driver of each side", () => {
    expect(dispatchLoops(SOURCES)).toEqual(["src/util/driver.ts"]);
    expect(having(/\bdrive\(/).sort()).toEqual(["src/cloud/driver.ts", "src/edge/driver.ts"]);
  });

  it("constructor of edge sessions, for the simulator too", () => {
    expect(having(/\bnew EdgeDriver\(/)).toEqual(["src/edge/opener.ts"]);
    expect(having(/\bnew EdgeSession\(/)).toEqual(["src/edge/driver.ts"]);
  });

  it("place for q, inside the edge's machine", () => {
    expect(having(/\bnew RejectionSampler\(/)).toEqual(["src/edge/core/session.ts"]);
    expect(having(/\bnew ResidualDraw\(/)).toEqual(["src/edge/core/residual.ts"]);
    expect(having(/["'](?:resample|resampled|refill|restore)["']/)).toEqual([]);
  });

  it("control: a second one is seen", () => {
    const second: Source = {
      path: "src/edge/second.ts",
      text: "for (let e = events.shift(); e; e = events.shift()) machine.handle(e, 0);\nnew EdgeDriver({});",
    };
    expect(dispatchLoops([...SOURCES, second])).toContain("src/edge/second.ts");
    expect(having(/\bnew EdgeDriver\(/, [...SOURCES, second])).toHaveLength(2);
  });
});
