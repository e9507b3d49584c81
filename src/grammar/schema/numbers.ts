import { SchemaError } from "./error.ts";
import type { Plain, PlainSchema } from "./json.ts";

/** From here on llguidance's 64-bit integers and a reader's doubles are not the same. */
const MOST = 2 ** 53;
const MOST_DIGITS = 15;
const MOST_FACTOR = 1e8;

const BOUNDS = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] as const;

/** Whether a number is one that llguidance writes as JavaScript reads it. */
export function isSafe(value: number): boolean {
  return Math.abs(value) < MOST && digitsAfterPoint(value) <= MOST_DIGITS;
}

/** The bounds and factors of a document: faults of llguidance show only where several come together. */
export class Numbers {
  private readonly bounds: { value: number; exclusive: boolean; keyword: string; path: string }[] = [];
  private readonly factors: { value: number; path: string }[] = [];

  /** @throws SchemaError */
  add(plain: Plain, path: string): void {
    for (const keyword of BOUNDS) {
      const value = plain[keyword];
      if (value === undefined) continue;
      if (!isSafe(value))
        throw new SchemaError(
          keyword,
          path,
          `numbers are below 2^53, with ${MOST_DIGITS} digits after the point`,
        );
      this.bounds.push({ value, exclusive: keyword.startsWith("ex"), keyword, path });
    }
    const factor = plain.multipleOf;
    if (factor === undefined) return;
    if (!isFactor(factor))
      throw new SchemaError("multipleOf", path, `${factor} is zero or has too many digits`);
    this.factors.push({ value: factor, path });
  }

  /** @throws SchemaError */
  check(): void {
    this.checkBounds();
    this.checkFactors();
  }

  /**
   * `rx_float_range` of llguidance 1.9.1 takes an exclusive bound that is whole for inclusive where the other bound has
   * the same whole part.
   */
  private checkBounds(): void {
    const fractions = this.bounds.filter(({ value }) => !Number.isInteger(value));
    for (const { value, exclusive, keyword, path } of this.bounds) {
      if (!exclusive || !Number.isInteger(value)) continue;
      const near = fractions.find((other) => Math.abs(other.value - value) < 1);
      if (near) throw new SchemaError(keyword, path, `it is too close to the other bound, ${near.value}`);
    }
  }

  /** Two factors of one number become their least common multiple, in 32 bits. */
  private checkFactors(): void {
    const distinct = new Set(this.factors.map(({ value }) => value));
    if (distinct.size < 2) return;
    const digits = Math.max(...[...distinct].map(digitsAfterPoint));
    let common = 1n;
    let most = 1n;
    for (const value of distinct) {
      const scaled = toScaled(value, digits);
      common = (common / gcd(common, scaled)) * scaled;
      if (scaled > most) most = scaled;
      if (common * most < 2n ** 32n) continue;
      const { path } = this.factors.find((factor) => factor.value === value)!;
      throw new SchemaError("multipleOf", path, "the schema's factors have too large a common multiple");
    }
  }
}

/**
 * Numbers that llguidance 1.9.1 would refuse for being written with fewer digits than a bound or a factor has (1.1 of
 * `maximum: 1.14`, 0.5 of `multipleOf: 0.25`), as further ways beside the numeric keywords, which move there too.
 */
export function allWritings(plain: Plain): PlainSchema[] {
  if (plain.type && !plain.type.includes("number")) return [];
  const numeric: Plain = {};
  for (const keyword of [...BOUNDS, "multipleOf"] as const) {
    if (plain[keyword] !== undefined) numeric[keyword] = plain[keyword];
  }
  const ways: Plain[] = shorterFactors(plain.multipleOf).map((multipleOf) => ({ ...numeric, multipleOf }));
  const shorter = BOUNDS.flatMap((keyword) => shortened(plain[keyword]));
  const values = [...new Set(shorter)].filter((value) => isWithin(value, numeric));
  if (values.length > 0) ways.push({ enum: values });
  if (ways.length === 0) return [];
  for (const keyword of [...BOUNDS, "multipleOf"] as const) delete plain[keyword];
  return [{ anyOf: [numeric, ...ways] }];
}

/** A bound with fewer digits after the point: 1.234 as 1.23 and 1.2. */
function shortened(bound: number | undefined): number[] {
  if (bound === undefined) return [];
  const digits = digitsAfterPoint(bound);
  const scaled = toScaled(bound, digits);
  return Array.from({ length: Math.max(0, digits - 1) }, (_, i) => {
    const kept = scaled / 10n ** BigInt(digits - i - 1);
    return Number(`${kept}e-${i + 1}`);
  });
}

/** Multiples of a factor that have fewer digits after the point are the multiples of these. */
function shorterFactors(factor: number | undefined): number[] {
  if (factor === undefined) return [];
  const digits = digitsAfterPoint(factor);
  const scaled = toScaled(factor, digits);
  if (scaled === 1n) return [];
  return Array.from({ length: Math.max(0, digits - 1) }, (_, i) => {
    const unit = 10n ** BigInt(digits - i - 1);
    return Number(`${(scaled / gcd(scaled, unit)) * unit}e-${digits}`);
  }).filter(isFactor);
}

function isWithin(value: number, bounds: Plain): boolean {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = bounds;
  if (minimum !== undefined && value < minimum) return false;
  if (maximum !== undefined && value > maximum) return false;
  if (exclusiveMinimum !== undefined && value <= exclusiveMinimum) return false;
  if (exclusiveMaximum !== undefined && value >= exclusiveMaximum) return false;
  if (multipleOf === undefined) return true;
  const digits = Math.max(digitsAfterPoint(value), digitsAfterPoint(multipleOf));
  return toScaled(value, digits) % toScaled(multipleOf, digits) === 0n;
}

/** A decimal number times a power of ten, exactly. */
function toScaled(value: number, digits: number): bigint {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return BigInt(whole + fraction) * 10n ** BigInt(digits - fraction.length + Number(exponent));
}

/** Whether llguidance, which multiplies by ten until nothing is left, reads the number that is written. */
function isFactor(value: number): boolean {
  if (!(value > 0) || !Number.isFinite(value)) return false;
  let scaled = value;
  let digits = 0;
  while (!Number.isInteger(scaled) && digits < 9) {
    scaled *= 10;
    digits++;
  }
  return scaled <= MOST_FACTOR && digits < 9 && digits === digitsAfterPoint(value);
}

function digitsAfterPoint(value: number): number {
  const [mantissa = "", exponent = "0"] = String(value).split("e");
  return Math.max(0, (mantissa.split(".")[1] ?? "").length - Number(exponent));
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}
