import { describe, expect, it } from "vitest";
import { attackFiles, type Fate, type Way } from "../files/attack.ts";

/** Many damaged files against the built package; `npm run attack:files` has 400 models and 393 tokenizers. */

const HUNG_MS = 200_000;
/** Each file has a process or two of its own. */
const ALL_MS = 900_000;
const attack = (ways: readonly Way[], seeds: readonly number[], checked = true) =>
  attackFiles({ seeds, ways, checked, hungMs: HUNG_MS, hosts: 2 });
const first = (count: number) => Array.from({ length: count }, (_, seed) => seed);
const told = ({ way, damage, end, message }: Fate) => `${way} ${end}: ${damage}\n${message}`;

/** Files that end the process of who opens them unchecked. */
const DEADLY_MODELS = [80, 84, 178, 191, 207, 236, 272];
const DEADLY_TOKENIZERS = [93, 137, 153, 159, 178, 185, 208, 247];

/** What must hold of all. */
function expectNoHarm(fates: readonly Fate[]): void {
  expect(fates.filter(({ typed }) => !typed).map(told)).toEqual([]);
  const errors = fates.filter(({ end }) => end !== "some tokens");
  // A peer's words, or a file's: what they are about is there.
  for (const { message } of errors) expect(message).toMatch(/^(EngineError|CloudError|SettingError): .{20,}/);
  // Both happen, or the damage is too large or too small to show anything.
  expect(errors.length).toBeGreaterThan(fates.length / 5);
}

describe("damaged model files", { timeout: ALL_MS }, () => {
  it("end neither edge nor cloud, and the doctor finds what they refuse", async () => {
    const even = (seed: number) => seed % 2 === 0;
    const seeds = first(52);
    const fates = [
      ...(await attack(["edge"], [...seeds.filter(even), ...DEADLY_MODELS])),
      ...(await attack(["cloud"], [...seeds.filter((seed) => !even(seed)), ...DEADLY_MODELS])),
    ];
    expectNoHarm(fates);
    expect(fates.some(({ end }) => end === "some tokens")).toBe(true);
    for (const fate of fates) {
      if (fate.doctor?.status === "problem") expect(fate.end, told(fate)).not.toBe("some tokens");
    }
    const ofDeadly = fates.filter(({ number }) => DEADLY_MODELS.includes(number));
    const said = ofDeadly.flatMap(({ doctor }) => doctor?.status ?? []);
    expect(said).toEqual(DEADLY_MODELS.map(() => "problem"));
  });

  it("control: without the check they end the process", async () => {
    const fates = await attack(["edge"], DEADLY_MODELS, false);
    expect(fates.map(({ end }) => end)).toEqual(DEADLY_MODELS.map(() => "died"));
  });
});

describe("damaged tokenizers of a cloud", { timeout: ALL_MS }, () => {
  it("do not end an edge without a model", async () => {
    const fates = await attack(["tokenizer"], [...first(52), ...DEADLY_TOKENIZERS]);
    expectNoHarm(fates);
    expect(fates.some(({ end }) => end === "some tokens")).toBe(true);
    for (const { number, end } of fates) {
      if (DEADLY_TOKENIZERS.includes(number)) expect(end).toBe("bad_tokenizer");
    }
  });

  it("control: without the check they end the process", async () => {
    const fates = await attack(["tokenizer"], DEADLY_TOKENIZERS, false);
    expect(fates.filter(({ end }) => end === "died").length).toBeGreaterThan(DEADLY_TOKENIZERS.length / 2);
  });
});
