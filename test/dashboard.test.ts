import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CloudMetrics } from "../src/ops/cloud/metrics.ts";
import { EdgeMetrics } from "../src/ops/edge/metrics.ts";
import { readExposition } from "./support/exposition.ts";

/** The dashboard: what Grafana's JSON model asks for, and metrics that there are. So with the table of the documentation. */

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly datasource?: { readonly type: string; readonly uid: string };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly datasource: object;
  }[];
}
interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly Panel[];
}

const dashboard = JSON.parse(readFileSync("deploy/grafana/picospec.json", "utf8")) as Dashboard;
const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));

/** Families and their labels, by what both sides export before anything has happened. */
async function exported(): Promise<{ cloud: Set<string>; edge: Set<string> }> {
  const endpoint = { load: { active: 0, waiting: 0 }, link: null };
  const clock = { nowMs: () => 0, schedule: () => () => {} };
  const names = async (metrics: { text(): Promise<string> }) =>
    new Set(readExposition(await metrics.text()).types.keys());
  return {
    cloud: await names(new CloudMetrics("1")),
    edge: await names(new EdgeMetrics("1", endpoint, clock)),
  };
}

const families = (expression: string) =>
  [...expression.matchAll(/\b(?:picospec|process|nodejs)_\w+/g)].map(([name]) => name);
const known = (name: string, there: ReadonlySet<string>) =>
  there.has(name) || there.has(name.replace(/_(?:bucket|sum|count)$/, ""));

describe("the dashboard", () => {
  it("asks for metrics that are exported, each of the side whose jobs it names", async () => {
    const { cloud, edge } = await exported();
    expect(expressions.length).toBeGreaterThan(40);
    for (const expression of expressions) {
      const own = expression.includes("$cloud") ? cloud : edge;
      expect([expression, families(expression).filter((name) => !known(name, own))]).toEqual([
        expression,
        [],
      ]);
      expect(families(expression).length).toBeGreaterThan(0);
    }
    // Control: a name that is not exported is seen.
    expect(families("rate(picospec_no_such_total[5m])").filter((name) => !known(name, edge))).toHaveLength(1);
  });

  it("shows every metric that there is, but for the version and the total of what it shows by parts", async () => {
    const { cloud, edge } = await exported();
    const shown = new Set(
      expressions.flatMap(families).map((name) => name.replace(/_(?:bucket|sum|count)$/, "")),
    );
    const own = [...cloud, ...edge].filter((name) => name.startsWith("picospec_"));
    expect(own.filter((name) => !shown.has(name)).sort()).toEqual([
      ...["picospec_build_info", "picospec_build_info", "picospec_cloud_connections_total"],
      ...[
        "picospec_cloud_received_frames_total",
        "picospec_cloud_sent_frames_total",
        "picospec_cloud_sessions_total",
      ],
    ]);
  });

  it("is what Grafana loads: panels with numbers of their own that do not overlap, a data source that is chosen", () => {
    const { uid, title, schemaVersion, templating, panels } = dashboard;
    expect([uid, title]).toEqual(["picospec", "PicoSpec"]);
    expect(schemaVersion).toBeGreaterThanOrEqual(36);
    const variables = new Set(templating.list.map(({ name }) => name));
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { type, gridPos, datasource, targets = [] } of panels) {
      const { x, y, w, h } = gridPos;
      expect(x + w).toBeLessThanOrEqual(24);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          expect(taken.has(`${column} ${line}`)).toBe(false);
          taken.add(`${column} ${line}`);
        }
      }
      if (type === "row") continue;
      expect(type).toBe("timeseries");
      expect(datasource).toEqual({ type: "prometheus", uid: ["$", "{datasource}"].join("") });
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
    const used = JSON.stringify(expressions).matchAll(/\$(?!__)\{?(\w+)/g);
    expect([...used].filter(([, name]) => !variables.has(name!))).toEqual([]);
  });

  it("has expressions whose brackets match", () => {
    for (const expression of expressions) {
      const open: string[] = [];
      for (const one of expression.replaceAll(/"[^"]*"/g, "")) {
        if ("([{".includes(one)) open.push(one);
        else if (")]}".includes(one)) expect("([{"[")]}".indexOf(one)]).toBe(open.pop());
      }
      expect(open).toEqual([]);
    }
  });
});

describe("docs/operations.md", () => {
  it("has every metric in its tables, and none that is not there", async () => {
    const { cloud, edge } = await exported();
    const page = readFileSync("docs/operations.md", "utf8");
    const named = [...page.matchAll(/^\| `(picospec_\w+)`/gm)].map(([, name]) => name!);
    const own = [...cloud, ...edge].filter((name) => name.startsWith("picospec_"));
    expect([...new Set(named)].sort()).toEqual([...new Set(own)].sort());
  });
});
