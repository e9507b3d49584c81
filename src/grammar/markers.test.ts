import { expect, it } from "vitest";
import { larkWithMarkers, markersOf, withoutMarkers } from "./markers.ts";

it("markers of a grammar are those that were given, and a client gives none", () => {
  const source = larkWithMarkers('start: "a"', ["<x>", "\n"]);
  expect(markersOf({ kind: "lark", source })).toEqual(["<x>", "\n"]);
  const own = withoutMarkers({ kind: "lark", source });
  expect(markersOf(own)).toEqual([]);
  expect(own.source).toContain(source);
  const regex = { kind: "regex", source: '// markers: ["<x>"]' } as const;
  expect([withoutMarkers(regex), markersOf(regex)]).toEqual([regex, []]);
  for (const broken of ["// markers: ", "// markers: [", "// markers: {}", "// markers: [1]"])
    expect(markersOf({ kind: "lark", source: broken })).toEqual([]);
});
