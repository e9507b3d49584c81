import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LEAKS } from "./leak-list.ts";
import { type Caught, type LeakOptions, tryLeaks, unharmed } from "./leaks.ts";
import { listProblems, owners } from "./owners.ts";
import { renamedCopy } from "./rename.ts";

/** `npm run leaks`: in how many seeds the fault search catches a leak that is planted in each owner. */

const USAGE = `npm run leaks -- [options]
  --seeds N    seeds of each leak (400); each is to be caught in a tenth of them
  --owner X    only leaks in the class X
  --renamed    also in a copy of src whose private members have other names`;

/** The least share of seeds. */
export const LEAST_SHARE = 0.1;
const SUFFIX = "Renamed";

/** Loads a module of the tests from a folder. */
type Load = (root: string, path: string) => Promise<Record<string, unknown>>;

/** @returns the exit code */
export async function leaks(args: readonly string[], load: Load): Promise<number> {
  const options = {
    seeds: { type: "string", default: "400" },
    owner: { type: "string" },
    renamed: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  } as const;
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    console.error(`${(error as Error).message.split("\n")[0]}; see npm run leaks -- --help`);
    return 2;
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const seeds = Number(values.seeds);
  if (!Number.isInteger(seeds) || seeds < 10) {
    console.error(`--seeds is a whole number of 10 or more, not "${values.seeds}"`);
    return 2;
  }
  const { owner } = values;
  const names = [...new Set(LEAKS.map(({ owner: { name } }) => name))];
  if (owner !== undefined && !names.includes(owner)) {
    console.error(`--owner is one of ${names.join(", ")}, not "${owner}"`);
    return 2;
  }
  const root = process.cwd();
  const problems: string[] = listProblems(names, owners(root));
  const found = await unharmed(seeds);
  problems.push(...found.map((line) => `found with nothing planted: ${line}`));
  const all = await tryLeaks({ seeds, suffix: "", owner }, (caught) => console.log(line(caught)));
  problems.push(...all.flatMap(leakProblems));
  if (values.renamed) problems.push(...(await renamed(root, load, { seeds, owner, suffix: SUFFIX }, all)));
  for (const problem of problems) console.error(`leaks: ${problem}`);
  console.log(`${all.length} leaks planted, ${problems.length} problems`);
  return problems.length > 0 ? 1 : 0;
}

/** What is wrong with what a search made of one leak. */
export function leakProblems({ owner, what, tried, seeds, strange }: Caught): string[] {
  const name = `${owner}: ${what}`;
  return [
    ...(seeds.length < LEAST_SHARE * tried
      ? [`${name}: caught in ${seeds.length} of ${tried} seeds only`]
      : []),
    ...strange.slice(0, 1).map((error) => `${name}: no broken invariant: ${error}`),
  ];
}

/** The same leaks in a copy of src that has other private names: the same seeds have to catch them. */
async function renamed(
  root: string,
  load: Load,
  options: LeakOptions,
  before: readonly Caught[],
): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), "picospec-renamed-"));
  try {
    const count = renamedCopy(root, folder, options.suffix);
    console.log(`renamed ${count.members} private members in ${count.places} places`);
    const copy = (await load(folder, "/test/fuzz/leaks.ts")) as {
      tryLeaks: typeof tryLeaks;
      unharmed: typeof unharmed;
    };
    const found = await copy.unharmed(options.seeds);
    const after = await copy.tryLeaks(options);
    return [
      ...(count.members === 0 ? ["no private member was renamed"] : []),
      ...found.map((line) => `found in the copy with nothing planted: ${line}`),
      ...before.flatMap(({ owner, what, seeds: caught }, i) => {
        const now = after[i]?.seeds ?? [];
        if (caught.join() === now.join()) return [];
        return [`${owner}: ${what}: caught in ${caught.length} seeds, and in ${now.length} once renamed`];
      }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function line({ owner, what, tried, seeds, says }: Caught): string {
  const head = `${`${seeds.length} of ${tried}`.padStart(10)}  ${owner}: ${what}`;
  return says === "" ? head : `${head}\n${"".padStart(12)}${says.slice(0, 100)}`;
}
