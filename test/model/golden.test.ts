import { expect, it } from "vitest";
import { noEntry, readJson } from "../golden/command.ts";
import { PAIR_FILE, type PairGolden, pairAnswers, pairDifferences } from "../golden/pair.ts";

/**
 * The bundled pair answers as it did in release 0.1, for the CPU build at hand (`npm run golden` makes the table). For
 * a build that the table does not know, what holds on any build is tested, and the output says that this is all.
 */

const golden = readJson<PairGolden>(PAIR_FILE);

it("the bundled pair says what it said, under every policy", async () => {
  // Everything twice, whatever the build: an entry of texts that chance decides would be worth nothing.
  const answers = await pairAnswers(true);
  expect(answers.problems).toEqual([]);
  const differences = pairDifferences(answers, golden);
  if (differences === null) console.warn(noEntry(answers.kernel));
  expect(differences ?? []).toEqual([]);
  // The control: answers of their own, and a hash that is another is seen.
  const { hashes } = answers;
  expect(new Set(Object.values(hashes)).size).toBeGreaterThan(Object.keys(hashes).length / 3);
  const [first, second] = Object.keys(hashes).filter((name) => name.includes(", cloud, "));
  const swapped = { ...hashes, [first!]: hashes[second!]! };
  expect(pairDifferences({ ...answers, hashes: swapped }, { [answers.kernel]: hashes })).toEqual([
    `"${first}" is ${hashes[second!]}, and was ${hashes[first!]}`,
  ]);
});

it("says of a kernel without an entry how to add one, and does not take another's", () => {
  const unknown = { kernel: "llama.cpp 9, none-such", hashes: {}, problems: [] };
  expect(pairDifferences(unknown, golden)).toBeNull();
  expect(noEntry(unknown.kernel)).toMatch(
    /no golden entry for llama.cpp 9, none-such.*npm run golden -- --write/,
  );
  // One that lacks an answer that it had differs.
  const [kernel] = Object.keys(golden);
  expect(pairDifferences({ ...unknown, kernel: kernel! }, golden)).toHaveLength(
    Object.keys(golden[kernel!]!).length,
  );
});
