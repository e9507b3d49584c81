/** JSON in the style that answers are in: one line, with a space behind commas and colons. */
export function written(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(written).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return object(Object.entries(value).map(([name, part]) => [name, written(part)]));
}

function object(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([name, text]) => `${JSON.stringify(name)}: ${text}`).join(", ")}}`;
}

/** Objects of more names than this are written in their own order only. */
const MOST_NAMES = 4;
const MOST_TEXTS = 500;

/** A value in all orders of its objects' names, its own first. */
export function writings(value: unknown): string[] {
  if (Array.isArray(value)) {
    return combinations(value.map(writings)).map((parts) => `[${parts.join(", ")}]`);
  }
  if (typeof value !== "object" || value === null) return [JSON.stringify(value)];
  const entries = Object.entries(value);
  const orders = entries.length > MOST_NAMES ? [entries] : permutations(entries);
  return orders
    .flatMap((order) =>
      combinations(order.map(([, part]) => writings(part))).map((parts) =>
        object(order.map(([name], i) => [name, parts[i]!])),
      ),
    )
    .slice(0, MOST_TEXTS);
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length === 0) return [[]];
  return list.flatMap((first, i) =>
    permutations([...list.slice(0, i), ...list.slice(i + 1)]).map((rest) => [first, ...rest]),
  );
}

function combinations(choices: readonly (readonly string[])[]): string[][] {
  return choices.reduce<string[][]>(
    (before, options) =>
      before.flatMap((list) => options.map((option) => [...list, option])).slice(0, MOST_TEXTS),
    [[]],
  );
}
