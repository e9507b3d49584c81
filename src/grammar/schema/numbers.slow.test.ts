import { describe, expect, it } from "vitest";
import { accepts } from "../../../test/schemas/bytes.ts";
import { byteGrammars, libraryAlone } from "../../../test/support/byte-grammars.ts";
import { PicoSpecError } from "../../util/errors.ts";

interface Numeric {
  type: "number" | "integer";
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
}

const FACTORS = [1, 2, 3, 5, 7, 10, 12, 0.5, 0.1, 0.01, 1.5, 0.25, 100, 0.001];
const STEPS = [0, 1, -1, 0.1, -0.1, 0.01, -0.01, 1e-6, -1e-6, 0.5, -0.5, 1e-9, -1e-9];
const ODD = ["-0", "-0.0", "0", "0.0", "00", "1e1", "1e-3", "-0.00", "01", ".5", "5."];
const SCHEMAS = 1000;
const SEED = 12345;

describe("numbers under random bounds and factors", () => {
  it(`are accepted if they are valid, and only then (seed ${SEED})`, { timeout: 120_000 }, () => {
    const { texts, wrong, missed } = compared((schema) => {
      const source = JSON.stringify(schema);
      return grammars.matcher({ kind: "json_schema", source });
    });
    expect(texts).toBeGreaterThan(40_000);
    expect(wrong).toEqual([]);
    expect(missed).toEqual([]);
  });

  it("control: the library alone accepts some that are invalid and refuses some that are valid", {
    timeout: 120_000,
  }, () => {
    const { wrong, missed } = compared((schema) => libraryAlone(grammars, JSON.stringify(schema)));
    expect(wrong.length).toBeGreaterThan(0);
    expect(missed.length).toBeGreaterThan(0);
  });
});

const grammars = await byteGrammars();

function compared(matcherOf: (schema: Numeric) => ReturnType<typeof grammars.matcher>) {
  const random = generator(SEED);
  const result = { texts: 0, wrong: [] as string[], missed: [] as string[] };
  for (let i = 0; i < SCHEMAS; i++) {
    const schema = randomSchema(random);
    const texts = textsNear(schema, random);
    let matcher: ReturnType<typeof grammars.matcher>;
    try {
      matcher = matcherOf(schema);
    } catch (error) {
      if (error instanceof PicoSpecError) continue;
      throw error;
    }
    for (const text of texts) {
      result.texts++;
      const isValid = fits(text, schema);
      const line = `${JSON.stringify(schema)}: ${text}`;
      const isAccepted = accepts(matcher, text);
      if (isAccepted && !isValid) result.wrong.push(line);
      // As JSON.stringify writes it: with neither zeros at the end nor an exponent.
      if (!isAccepted && isValid && text === String(Number(text)) && !text.includes("e"))
        result.missed.push(line);
    }
    matcher.close();
  }
  return result;
}

function randomSchema(random: () => number): Numeric {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const schema: Numeric = { type: pick(["number", "integer"] as const) };
  if (random() < 0.7) schema[pick(["minimum", "exclusiveMinimum"] as const)] = randomNumber(random);
  if (random() < 0.7) schema[pick(["maximum", "exclusiveMaximum"] as const)] = randomNumber(random);
  if (random() < 0.3) schema.multipleOf = pick(FACTORS);
  return schema;
}

function randomNumber(random: () => number): number {
  const kinds = [
    () => Math.floor(random() * 21) - 10,
    () => Math.round((random() * 4 - 2) * 10) / 10,
    () => Math.round((random() * 20 - 10) * 100) / 100,
    () => Math.floor((random() * 2 - 1) * 10 ** Math.floor(random() * 16)),
    () => Number(((random() * 2 - 1) * 10 ** -Math.floor(random() * 7)).toFixed(9)),
    () => 0,
  ];
  return kinds[Math.floor(random() * kinds.length)]!();
}

/** Around a schema's bounds, and in other ways to write them. */
function textsNear(schema: Numeric, random: () => number): Set<string> {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const bounds = [minimum, maximum, exclusiveMinimum, exclusiveMaximum].filter(
    (bound) => bound !== undefined,
  );
  const texts = new Set(ODD);
  for (const bound of [...bounds, 0, randomNumber(random)]) {
    for (const step of STEPS) {
      const value = Number((bound + step).toFixed(9));
      for (const text of [value.toFixed(1), value.toFixed(2), value.toFixed(9), `-${Math.abs(value)}`])
        texts.add(text);
      for (const text of [String(value), String(Math.trunc(value)), `${value}0`]) texts.add(text);
    }
  }
  return texts;
}

function fits(text: string, schema: Numeric): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  if (typeof value !== "number" || (schema.type === "integer" && !Number.isInteger(value))) return false;
  if (value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity)) return false;
  if (value <= (schema.exclusiveMinimum ?? -Infinity) || value >= (schema.exclusiveMaximum ?? Infinity))
    return false;
  return schema.multipleOf === undefined || isMultiple(text, schema.multipleOf);
}

/** By the digits that are written. */
function isMultiple(text: string, factor: number): boolean {
  const digits = 24;
  const [mantissa = "", exponent = "0"] = text.split("e");
  if (Math.abs(Number(exponent)) > 9) return false;
  const [whole = "", fraction = ""] = mantissa.split(".");
  const scaled =
    BigInt(whole.replace("-", "") + fraction) * 10n ** BigInt(digits - fraction.length + Number(exponent));
  return scaled % (BigInt(Math.round(factor * 1000)) * 10n ** BigInt(digits - 3)) === 0n;
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
