import { afterEach, describe, expect, it, vi } from "vitest";
import { type Bar, barChart, type Cell, heatmap, lineChart, type Series } from "./plot.ts";

const options = {
  title: "Speed-up by round trip",
  subtitle: "one cloud, one edge",
  xLabel: "round trip (ms)",
  yLabel: "speed-up (×)",
  note: "emulated network and hardware",
};

const line = (name: string, ...ys: number[]): Series => ({
  name,
  points: ys.map((y, index) => ({ x: 10 * 2 ** index, y })),
});

const bars = (...values: number[]): Bar[] =>
  values.map((value, index) => ({
    group: index < 2 ? "home" : "train",
    name: index % 2 ? "edge" : "cloud",
    value,
  }));

const grid = (value: (x: number, y: number) => number, size = 3): Cell[] =>
  Array.from({ length: size * size }, (_, i) => {
    const [x, y] = [i % size, Math.floor(i / size)];
    return { x, y, value: value(x, y) };
  });

/** All texts of a chart, as a reader sees them. */
function texts(svg: string): string[] {
  return [...svg.matchAll(/<(text|tspan)[^>]*>([^<]*)(?=<)/g)].map(([, , text]) =>
    text!.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&"),
  );
}

/** What is drawn under an `aria-description`, such as the path of a series. */
function described(svg: string, description: string): string {
  const start = svg.indexOf(`aria-description="${description}"`);
  return start < 0 ? "" : svg.slice(start, svg.indexOf("</g>", start));
}

/** Fails on what an XML parser would refuse: open or crossed elements, stray ampersands, double attributes. */
function expectWellFormed(svg: string): void {
  const open: string[] = [];
  const rest = svg.replaceAll(
    /<(\/?)([\w:-]+)((?: [\w:-]+="[^"<]*")*) ?(\/?)>/g,
    (_, end, name, attributes, empty) => {
      const names = [...attributes.matchAll(/ ([\w:-]+)=/g)].map(([, each]) => each);
      expect(new Set(names).size).toBe(names.length);
      if (end) expect(open.pop()).toBe(name);
      else if (!empty) open.push(name);
      return attributes;
    },
  );
  expect(open).toEqual([]);
  expect(rest).not.toMatch(/</);
  expect(rest).not.toMatch(/&(?!(?:lt|gt|amp|quot|#\d+);)/);
  expect(rest).not.toMatch(/[^\P{Cc}\n]/u);
}

function expectStandalone(svg: string, width = 800, height = 460): void {
  expectWellFormed(svg);
  const root = svg.slice(0, svg.indexOf(">"));
  expect(root).toContain('xmlns="http://www.w3.org/2000/svg"');
  expect(root).toContain(`width="${width}"`);
  expect(root).toContain(`height="${height}"`);
  expect(root).toContain(`viewBox="0 0 ${width} ${height}"`);
  expect(root).toMatch(/font-family="[^"]*sans-serif"/);
  expect(svg).toMatch(/<rect[^>]*fill="#ffffff"/);
  expect(svg).not.toMatch(/<script|<style|<foreignObject| id=| on\w+=|href|NaN|undefined|Infinity/);
}

afterEach(() => vi.doUnmock("linkedom"));

describe("every chart", () => {
  const draw = {
    lines: () => lineChart([line("PicoSpec", 2, 1.5, 1.2), line("vanilla", 2, 1, 0.5)], options),
    bars: () => barChart(bars(1, 2, 3, 4), options),
    heatmap: () =>
      heatmap(
        grid((x, y) => 0.5 + x * y),
        { ...options, valueLabel: "speed-up", midpoint: 1 },
      ),
  };

  it.each(
    Object.entries(draw),
  )("is whole by itself, says what it shows, and is the same each time: %s", async (_, chart) => {
    const svg = await chart();
    expectStandalone(svg);
    const { title, subtitle, xLabel, yLabel, note } = options;
    expect(texts(svg)).toEqual(expect.arrayContaining([title, subtitle, xLabel, yLabel, note]));
    expect(svg).toContain(`<title>${title}</title>`);
    expect(await chart()).toBe(svg);
  });

  it("refuses a size that leaves nothing for the data", async () => {
    const small = { ...options, width: 100, height: 90 };
    await expect(lineChart([line("a", 1)], small)).rejects.toMatchObject({ code: "bad_chart" });
    await expect(barChart(bars(1), small)).rejects.toMatchObject({ code: "bad_chart" });
  });

  it("keeps its size, and breaks texts that are longer than a line", async () => {
    const title = "a title of many words ".repeat(8).trim();
    const svg = await lineChart([line("a", 1, 2)], { ...options, title, width: 480, height: 400 });
    expectStandalone(svg, 480, 400);
    expect(texts(svg)).not.toContain(title);
    expect(texts(svg).join(" ")).toContain(title);
  });
});

describe("a line chart", () => {
  it("has a path and a name for every series, each in a look of its own", async () => {
    const names = Array.from({ length: 12 }, (_, i) => `window of ${i + 1}`);
    const svg = await lineChart(
      names.map((name, i) => line(name, i, 2 * i, 3 * i)),
      options,
    );
    expect(texts(svg)).toEqual(expect.arrayContaining(names));
    for (const name of names) expect(described(svg, name)).toMatch(/<path d="M[-\d.,]+L[-\d.,]+L[-\d.,]+"/);
    const looks = svg
      .match(/<g[^>]*aria-description="[^>]*>/g)!
      .map((tag) => tag.replace(/aria-description="[^"]*"/, ""));
    expect(new Set(looks).size).toBe(names.length);
  });

  it.each([
    1, 5, 12, 17,
  ])("writes %d names beside lines that end in one place without an overlap", async (count) => {
    const names = Array.from({ length: count }, (_, i) => `name ${i}`);
    const svg = await lineChart(
      names.map((name, i) => line(name, 1, 2 + i / 1000)),
      options,
    );
    const ys = [...svg.matchAll(/translate\([\d.]+,([\d.]+)\)" y="[\d.]+em">name \d+</g)].map(([, y]) =>
      Number(y),
    );
    expect(ys).toHaveLength(count);
    ys.sort((a, b) => a - b);
    expect(ys.every((y, i) => i === 0 || y - ys[i - 1]! >= 15)).toBe(true);
    expect(Math.min(...ys)).toBeGreaterThan(0);
    expect(Math.max(...ys)).toBeLessThan(460);
  });

  it("puts names that are too long for that above the lines", async () => {
    const names = ["edge", "cloud"].map((each) => `${each}, with all that we know about it and some more`);
    const svg = await lineChart(
      names.map((name) => line(name, 1, 2)),
      options,
    );
    expect(texts(svg)).toEqual(expect.arrayContaining(names));
  });

  it("escapes names, and replaces what XML has no way to write", async () => {
    const svg = await lineChart([line('a <b> & "c"\u0000\ud800', 1, 2)], { ...options, title: "<i>&amp;" });
    expectStandalone(svg);
    expect(texts(svg)).toEqual(expect.arrayContaining(['a <b> & "c"\ufffd\ufffd', "<i>&amp;"]));
  });

  it("leaves a gap where a value is missing, and draws points in the order of x", async () => {
    const xs = [4, 1, 5, 2, 3];
    const points = xs.map((x) => ({ x, y: x === 3 ? Number.NaN : x }));
    const svg = await lineChart([{ name: "gap", points: [...points, { x: Number.NaN, y: 1 }] }], options);
    expectStandalone(svg);
    expect(described(svg, "gap")).toMatch(/d="M[\d.,]+L[\d.,]+M[\d.,]+L[\d.,]+"/);
  });

  it("draws a band for an interval, and a bar for a lone one", async () => {
    const interval = (x: number) => ({ x, y: 1, low: 0.5, high: 1.5 });
    const points = [interval(1), interval(2), { x: 3, y: 1 }, interval(4)];
    const svg = await lineChart([{ name: "a", points }, line("b", 1, 1)], options);
    expect(svg.match(/<g[^>]*aria-label="area"/g)).toHaveLength(1);
    const bar = svg.slice(svg.indexOf('aria-label="rule"'));
    expect(bar.slice(0, bar.indexOf("</g>")).match(/<line/g)).toHaveLength(1);
  });

  it("labels a logarithmic axis where the experiment was run, and clips an interval that goes below it", async () => {
    const points = [5, 20, 50, 400].map((x) => ({ x, y: x, low: x - 5, high: 2 * x }));
    const svg = await lineChart([{ name: "a", points }], { ...options, xLog: true, yLog: true });
    expectStandalone(svg);
    const labels = svg.slice(svg.indexOf('aria-label="x-axis tick label"'));
    expect(texts(labels.slice(0, labels.indexOf("</g>")))).toEqual(["5", "20", "50", "400"]);
  });

  it("reaches its rule, and 0 when asked to", async () => {
    const svg = await lineChart([line("a", 5, 6)], { ...options, rule: 9.5, yZero: true });
    expect(texts(svg)).toEqual(expect.arrayContaining(["0", "10"]));
    expect(svg).toMatch(/aria-label="rule"/);
  });

  it("refuses nothing at all, a series without values, and 0 on a logarithmic axis", async () => {
    const empty = { code: "empty_chart" };
    await expect(lineChart([], options)).rejects.toMatchObject(empty);
    await expect(lineChart([line("a", 1), line("b")], options)).rejects.toMatchObject(empty);
    await expect(lineChart([line("b", Number.NaN)], options)).rejects.toThrow(/series "b" has no point/);
    const bad = { code: "bad_chart" };
    await expect(lineChart([line("a", 1, 0)], { ...options, yLog: true })).rejects.toMatchObject(bad);
    await expect(lineChart([line("a", 1)], { ...options, yLog: true, rule: 0 })).rejects.toMatchObject(bad);
  });
});

describe("a bar chart", () => {
  it("has a bar for every value, and names for groups and bars", async () => {
    const svg = await barChart(bars(1, 2, 3, 4), options);
    for (const bar of ["home, cloud", "home, edge", "train, cloud", "train, edge"]) {
      expect(described(svg, bar)).toContain("<rect");
    }
    expect(texts(svg)).toEqual(
      expect.arrayContaining(["home", "train", "cloud", "edge", "1", "2", "3", "4"]),
    );
  });

  it("says that a value is missing", async () => {
    const svg = await barChart(bars(1, Number.NaN, 3, 4), options);
    expectStandalone(svg);
    expect(described(svg, "home, edge")).toBe("");
    expect(texts(svg).filter((text) => text === "n/a")).toHaveLength(1);
  });

  it("draws negative values, a logarithmic axis, whiskers, and long names of groups", async () => {
    expectStandalone(await barChart(bars(-1, 2, -3, 4), options));
    const measured = bars(1, 20, 300, 4000).map((bar) => ({ ...bar, low: 0, high: 2 * bar.value }));
    expectStandalone(await barChart(measured, { ...options, yLog: true, rule: 100 }));
    const many = Array.from({ length: 12 }, (_, i) => ({
      group: `a-name-without-spaces-${i}`,
      name: "a",
      value: i,
    }));
    const svg = await barChart(many, options);
    expect(texts(svg)).toEqual(expect.arrayContaining(many.map(({ group }) => group)));
    expect(svg).toContain("rotate(-35)");
  });

  it("refuses nothing at all, two bars in one place, and more groups than it can label", async () => {
    await expect(barChart([], options)).rejects.toMatchObject({ code: "empty_chart" });
    await expect(barChart(bars(Number.NaN), options)).rejects.toMatchObject({ code: "empty_chart" });
    await expect(barChart([...bars(1), ...bars(2)], options)).rejects.toMatchObject({ code: "bad_chart" });
    const many = Array.from({ length: 99 }, (_, i) => ({ group: `group-${i}`, name: "a", value: i }));
    await expect(barChart(many, options)).rejects.toThrow(/99 groups are too many/);
  });
});

describe("a heatmap", () => {
  const map = { ...options, valueLabel: "speed-up over the cloud (×)" };

  /** The fills of the first `count` cells. */
  const fills = (svg: string, count: number) => {
    const cells = svg.slice(svg.indexOf('aria-label="rect"'));
    return [...cells.matchAll(/<rect[^>]*fill="(rgb[^"]*)"/g)].slice(0, count).map(([, fill]) => fill);
  };
  const channels = (fill: string | undefined) => fill!.match(/\d+/g)!.map(Number);

  it("is blue above the midpoint, red below, and as pale at it as can be", async () => {
    const cells = [0.5, 1, 2].map((value, x) => ({ x, y: 1, value }));
    const [below, at, above] = fills(await heatmap(cells, { ...map, midpoint: 1 }), 3).map(channels);
    expect(below![0]).toBeGreaterThan(below![2]! + 50);
    expect(above![2]).toBeGreaterThan(above![0]! + 50);
    expect(Math.min(...at!)).toBeGreaterThan(230);
  });

  it("prints few values, and no longer when cells get small", async () => {
    const few = texts(
      await heatmap(
        grid((x, y) => 1 + x + y / 4),
        map,
      ),
    );
    expect(few).toEqual(expect.arrayContaining(["1.00", "3.50", map.valueLabel]));
    const many = texts(
      await heatmap(
        grid((x, y) => 1.25 + x + y, 30),
        map,
      ),
    );
    expect(many.length).toBeLessThan(90); // labels, but not 900 values
  });

  it("shows a missing value in grey and a missing cell in white", async () => {
    const cells = grid((x, y) => (x === 1 && y === 1 ? Number.NaN : x + y)).slice(1);
    const svg = await heatmap(cells, { ...map, midpoint: 0 });
    expectStandalone(svg);
    expect(fills(svg, 8).filter((fill) => fill === "rgb(217, 217, 217)")).toHaveLength(1);
    expect(texts(svg)).toContain("n/a");
  });

  it("refuses nothing at all and two cells in one place", async () => {
    await expect(heatmap([], map)).rejects.toMatchObject({ code: "empty_chart" });
    await expect(
      heatmap(
        grid(() => Number.NaN),
        map,
      ),
    ).rejects.toMatchObject({ code: "empty_chart" });
    const twice = [...grid(() => 1), ...grid(() => 2)];
    await expect(heatmap(twice, map)).rejects.toMatchObject({ code: "bad_chart" });
    await expect(heatmap([{ x: Number.NaN, y: 1, value: 1 }], map)).rejects.toMatchObject({
      code: "bad_chart",
    });
  });
});

// Last: what is mocked can outlive its test for a moment.
describe("a chart without its packages", () => {
  it("says what to install when a package is missing", async () => {
    vi.doMock("linkedom", () => {
      throw new Error("Cannot find package 'linkedom'");
    });
    await expect(lineChart([line("a", 1, 2)], options)).rejects.toMatchObject({
      code: "no_plot",
      message: "drawing needs two packages: npm install @observablehq/plot linkedom",
    });
  });
});
