import { canonical, own, type Plain, type PlainSchema, typeOf } from "./json.ts";

/** What a `$ref` stands for. */
export type Lookup = (reference: string) => PlainSchema;

const TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
const MOST_DEPTH = 6;
/** Pairs of schemas that are compared for all `oneOf` of a schema: some 20 ms. */
const MOST_PAIRS = 3000;
/** Schemas that are looked at for that, each as often as it is met: references can make few of them many. */
const MOST_VISITS = 100_000;

/** Proves that no instance fits two schemas at once, and says no where it cannot. One for a whole schema. */
export class Disjointness {
  private readonly lookup: Lookup;
  private pairs = 0;
  private visits = 0;

  constructor(lookup: Lookup) {
    this.lookup = lookup;
  }

  /**
   * @param beside holds for every option
   * @returns two options, by their places, that an instance may fit both; null: there are none
   */
  overlap(options: readonly PlainSchema[], beside: PlainSchema): readonly [number, number] | null {
    if (this.toldApart(options.map((one) => this.plainParts({ allOf: [beside, one] })))) return null;
    for (const [i, one] of options.entries()) {
      for (let j = i + 1; j < options.length; j++) {
        const apart = this.proven({ allOf: [beside, one] }, { allOf: [beside, options[j]!] });
        if (!apart) return [i, j];
      }
    }
    return null;
  }

  /** By values that each option lists, its own or of a property that it has to have: no pairs have to be compared. */
  private toldApart(options: readonly (readonly Plain[])[]): boolean {
    if (areDistinct(options.map((parts) => listedBy(parts)))) return true;
    const areObjects = options.every((parts) =>
      TYPES.every((type) => type === "object" || !parts.every((part) => this.allowsType(part, type, 0))),
    );
    if (!areObjects) return false;
    const names = new Set(options[0]?.flatMap((part) => part.required ?? []));
    return [...names].some((name) =>
      areDistinct(
        options.map((parts) => {
          const isThere = parts.some((part) => part.required?.includes(name));
          return isThere ? listedBy(parts.flatMap((part) => this.propertyParts(part, name))) : null;
        }),
      ),
    );
  }

  private propertyParts(part: Plain, name: string): Plain[] {
    return propertyOf(part, name).flatMap((schema) => this.plainParts(schema));
  }

  private plainParts(schema: PlainSchema): Plain[] {
    return this.parts(schema, 0).filter((part): part is Plain => typeof part === "object");
  }

  private proven(left: PlainSchema, right: PlainSchema, depth = 0): boolean {
    if (left === false || right === false) return true;
    if (depth > MOST_DEPTH || ++this.pairs > MOST_PAIRS) return false;
    const lefts = this.parts(left, depth);
    const rights = this.parts(right, depth);
    const together = [...lefts, ...rights];
    if (together.includes(false)) return true;
    const plain = together.filter((part): part is Plain => typeof part === "object");
    const types = TYPES.filter((type) => plain.every((part) => this.allowsType(part, type, depth)));
    if (types.length === 0) return true;
    if (valuesApart(plain)) return true;
    for (const part of plain) {
      const others = lefts.includes(part) ? right : left;
      if (part.anyOf?.every((option) => this.proven(option, others, depth + 1))) return true;
    }
    if (types.every((type) => type === "integer" || type === "number"))
      return boundsApart(plain, "minimum", "maximum");
    if (types.length !== 1) return false;
    if (types[0] === "string") return boundsApart(plain, "minLength", "maxLength");
    if (types[0] === "array") return boundsApart(plain, "minItems", "maxItems");
    return types[0] === "object" && this.objectsApart(plain, depth);
  }

  /** A schema and all that has to hold with it. */
  private parts(schema: PlainSchema, depth: number): PlainSchema[] {
    // What is not looked at proves nothing.
    if (typeof schema === "boolean" || depth > MOST_DEPTH || ++this.visits > MOST_VISITS) return [schema];
    const more = [...(schema.allOf ?? []), ...(schema.$ref ? [this.lookup(schema.$ref)] : [])];
    return [schema, ...more.flatMap((part) => this.parts(part, depth + 1))];
  }

  private allowsType(schema: PlainSchema, type: string, depth: number): boolean {
    if (typeof schema === "boolean" || depth > MOST_DEPTH || ++this.visits > MOST_VISITS)
      return schema !== false;
    if (
      schema.type &&
      !schema.type.includes(type) &&
      !(type === "integer" && schema.type.includes("number"))
    ) {
      return false;
    }
    if (valuesOf(schema)?.every((value) => typeOf(value) !== type)) return false;
    if (schema.anyOf?.every((option) => !this.allowsType(option, type, depth + 1))) return false;
    if (schema.$ref && !this.allowsType(this.lookup(schema.$ref), type, depth + 1)) return false;
    return schema.allOf?.every((part) => this.allowsType(part, type, depth + 1)) ?? true;
  }

  /** A property that has to be there, and for which no value is left. */
  private objectsApart(parts: readonly Plain[], depth: number): boolean {
    const names = new Set(parts.flatMap((part) => part.required ?? []));
    return [...names].some((name) => {
      const schemas = parts.flatMap((part) => propertyOf(part, name));
      return (
        schemas.some((one, i) => schemas.slice(i + 1).some((other) => this.proven(one, other, depth + 1))) ||
        schemas.includes(false)
      );
    });
  }
}

function propertyOf(part: Plain, name: string): PlainSchema[] {
  const named = part.properties && own(part.properties, name);
  if (named !== undefined) return [named];
  return part.additionalProperties !== undefined && !part.patternProperties
    ? [part.additionalProperties]
    : [];
}

/** The values that a schema lists. */
export function valuesOf(schema: Plain): readonly unknown[] | null {
  if ("const" in schema) return [schema.const];
  return schema.enum ?? null;
}

/** The fewest values that one of the parts lists; null: none lists any. */
function listedBy(parts: readonly Plain[]): readonly unknown[] | null {
  const lists = parts.flatMap((part) => {
    const values = valuesOf(part);
    return values ? [values] : [];
  });
  return lists.length === 0 ? null : lists.reduce((a, b) => (b.length < a.length ? b : a));
}

/** Whether every list is there, and no value is in two of them. */
function areDistinct(lists: readonly (readonly unknown[] | null)[]): boolean {
  const seen = new Set<string>();
  return lists.every((list) => {
    const values = new Set(list?.map(canonical));
    if (list === null || [...values].some((value) => seen.has(value))) return false;
    for (const value of values) seen.add(value);
    return true;
  });
}

function valuesApart(parts: readonly Plain[]): boolean {
  const lists = parts.flatMap((part) => {
    const values = valuesOf(part);
    return values ? [new Set(values.map(canonical))] : [];
  });
  const [first, ...others] = lists;
  return first !== undefined && [...first].every((value) => others.some((list) => !list.has(value)));
}

function boundsApart(
  parts: readonly Plain[],
  least: "minimum" | "minLength" | "minItems",
  most: "maximum" | "maxLength" | "maxItems",
): boolean {
  const low = Math.max(...parts.map((part) => part[least] ?? -Infinity));
  const high = Math.min(...parts.map((part) => part[most] ?? Infinity));
  if (low > high) return true;
  if (least !== "minimum") return false;
  const above = Math.max(...parts.map((part) => part.exclusiveMinimum ?? -Infinity));
  const below = Math.min(...parts.map((part) => part.exclusiveMaximum ?? Infinity));
  return above >= Math.min(high, below) || below <= Math.max(low, above);
}
