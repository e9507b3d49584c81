import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

/** One registry a server, in the names and help of this software. Never the library's global one. */

export type Labels = Readonly<Record<string, string>>;

/** A value at the time of a scrape, with its labels. */
export type Sample = readonly [labels: Labels, value: number];

export interface MetricText {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/**
 * A counter that is read when it is scraped, so that counting is an addition to a plain number. What is read may go back for
 * a moment (a draft that was judged is judged again over a new link); what is told never does, since that would read as a
 * restart.
 */
export function pulledCounter(registry: Registry, text: MetricText, read: () => Iterable<Sample>): void {
  const told = new Map<string, number>();
  new Counter({
    ...{ name: text.name, help: text.help, labelNames: [...(text.labels ?? [])], registers: [registry] },
    collect() {
      this.reset();
      for (const [labels, value] of read()) {
        const key = JSON.stringify(labels);
        const most = Math.max(told.get(key) ?? 0, value);
        told.set(key, most);
        this.inc({ ...labels }, most);
      }
    },
  });
}

/** A gauge that is read when it is scraped. */
export function pulledGauge(registry: Registry, text: MetricText, read: () => Iterable<Sample>): void {
  new Gauge({
    ...{ name: text.name, help: text.help, labelNames: [...(text.labels ?? [])], registers: [registry] },
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set({ ...labels }, value);
    },
  });
}

/** One sample without labels. */
export function one(value: number): Sample[] {
  return [[{}, value]];
}

let process: Registry | null = null;

/** Of the process (CPU, memory, event loop, garbage collection): measured once, however many servers are in it. */
function processRegistry(): Registry {
  if (process) return process;
  process = new Registry();
  collectDefaultMetrics({ register: process });
  return process;
}

export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** Scrapes under way: a scrape takes some ms, and however many ask at a time, one is made for them. */
const underWay = new WeakMap<Registry, Promise<string>>();

/** All metrics of a server and of its process in Prometheus' text format. */
export function exposition(registry: Registry): Promise<string> {
  const known = underWay.get(registry);
  if (known) return known;
  const made = scrape(registry).finally(() => underWay.delete(registry));
  underWay.set(registry, made);
  return made;
}

async function scrape(registry: Registry): Promise<string> {
  const [own, ofProcess] = await Promise.all([registry.metrics(), processRegistry().metrics()]);
  // prom-client writes "Nan" where nothing was measured yet.
  return `${own}\n${ofProcess.replaceAll(/ Nan$/gm, " NaN")}`;
}

/** @param version of this software */
export function serverRegistry(version: string): Registry {
  const registry = new Registry();
  // Beforehand: what is measured from the first scrape on would lack the start.
  processRegistry();
  const text = { name: "picospec_build_info", help: "version of this software", labels: ["version"] };
  pulledGauge(registry, text, () => [[{ version }, 1]]);
  return registry;
}
