/** Prometheus' text format, read strictly: what a scraper would misread is an error here. */

export interface Exposition {
  readonly types: ReadonlyMap<string, string>;
  /** by name and labels, as `name{label="value"}` with the labels in their order */
  readonly samples: ReadonlyMap<string, number>;
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const SAMPLE = new RegExp(`^(${NAME})(\\{${LABEL}(?:,${LABEL})*\\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$`);
const COMMENT = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`);

/** @throws Error that names the line */
export function readExposition(text: string): Exposition {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  for (const line of text.split("\n").filter((line) => line !== "")) {
    const comment = COMMENT.exec(line);
    if (comment) {
      const [, kind, name, value] = comment;
      if (kind !== "TYPE") continue;
      if (types.has(name!)) throw new Error(`two types: ${line}`);
      if (!/^(counter|gauge|histogram|summary)$/.test(value!)) throw new Error(`no type: ${line}`);
      types.set(name!, value!);
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (!sample) throw new Error(`no sample: ${line}`);
    const [, name, labels = "", value] = sample;
    const family = name!.replace(/_(?:bucket|sum|count)$/, "");
    if (!types.has(name!) && types.get(family) !== "histogram") throw new Error(`without a type: ${line}`);
    const key = `${name}${labels}`;
    if (samples.has(key)) throw new Error(`twice: ${line}`);
    const number = value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value);
    if (types.get(name!) === "counter" && !(number >= 0)) throw new Error(`a counter below 0: ${line}`);
    samples.set(key, number);
  }
  checkHistograms(types, samples);
  return { types, samples };
}

/** Buckets are cumulative, and the last is the count. */
function checkHistograms(types: ReadonlyMap<string, string>, samples: ReadonlyMap<string, number>): void {
  for (const [name, type] of types) {
    if (type !== "histogram") continue;
    const buckets = [...samples].filter(([key]) => key.startsWith(`${name}_bucket{`));
    const perSeries = new Map<string, number[]>();
    for (const [key, value] of buckets) {
      const series = key.replace(/le="[^"]*",?/, "");
      perSeries.set(series, [...(perSeries.get(series) ?? []), value]);
    }
    for (const [series, values] of perSeries) {
      if (values.some((value, i) => value < (values[i - 1] ?? 0))) throw new Error(`${series} falls`);
    }
    const count = samples.get(`${name}_count`);
    const last = samples.get(`${name}_bucket{le="+Inf"}`);
    if (count !== undefined && count !== last)
      throw new Error(`${name} counts ${count}, its buckets ${last}`);
  }
}
