import { SettingError } from "../../util/errors.ts";
import { Disjointness } from "./disjoint.ts";
import { child, type Place, resolve } from "./document.ts";
import { SchemaError } from "./error.ts";
import { isObject, type JsonObject, type Plain, type PlainSchema } from "./json.ts";
import { checkDraft, type Draft, isKeyword } from "./keywords.ts";
import { negation } from "./negate.ts";
import { Numbers } from "./numbers.ts";
import { objectKeywords } from "./objects.ts";
import type { Reader } from "./reader.ts";
import { arrayKeywords, stringKeywords, valueKeywords } from "./values.ts";

/** Levels of JSON in one another. */
const MOST_LEVELS = 100;
const MOST_SCHEMAS = 50_000;
const MOST_DEFINITIONS = 1000;
const IN_PLACE = ["$ref", "allOf", "anyOf", "oneOf"];

interface Choice {
  readonly options: readonly PlainSchema[];
  readonly beside: Plain;
  readonly path: string;
}

/** Translates one document to the few keywords that llguidance is given. */
export class Translation implements Reader {
  readonly draft: Draft;
  readonly numbers = new Numbers();
  readonly definitions = new Map<string, PlainSchema>();
  /** names of definitions by the schemas they are of */
  private readonly names = new Map<object, string>();
  private readonly references = new Map<string, string>();
  private readonly waiting: { name: string; place: Place }[] = [];
  private readonly choices: Choice[] = [];
  private readonly escaped: { keyword: string; path: string }[] = [];
  private spelledOnce = false;
  private schemas = 0;

  constructor(draft: Draft) {
    this.draft = draft;
  }

  /** @throws SchemaError */
  whole(root: Place): PlainSchema {
    const schema = this.schema(root);
    for (let next = this.waiting.pop(); next; next = this.waiting.pop()) {
      this.definitions.set(next.name, this.schema(next.place));
    }
    this.checkReferences(schema);
    this.numbers.check();
    const lookup = (reference: string) => this.definitions.get(reference.slice("#/$defs/".length))!;
    const disjointness = new Disjointness(lookup);
    for (const { options, beside, path } of this.choices) {
      const both = disjointness.overlap(options, beside);
      if (!both) continue;
      const message = `an instance may fit options ${both.join(" and ")} both; use anyOf`;
      throw new SchemaError("oneOf", path, message);
    }
    if (this.spelledOnce && this.escaped[0]) {
      const { keyword, path } = this.escaped[0];
      throw new SchemaError(
        keyword,
        path,
        "it has a control character, which objects that take other names exclude",
      );
    }
    return schema;
  }

  /** Strings and names may be written with `\u` escapes. */
  get mayEscape(): boolean {
    return !this.spelledOnce;
  }

  inner(place: Place, ...keys: (string | number)[]): PlainSchema {
    return this.schema(child(place, keys, this.draft));
  }

  oneSpelling(): void {
    this.spelledOnce = true;
  }

  escapes(keyword: string, path: string): void {
    this.escaped.push({ keyword, path });
  }

  private schema(place: Place): PlainSchema {
    const { schema, path } = place;
    if (typeof schema === "boolean") return schema;
    if (!isObject(schema))
      throw new SettingError("schema", `a schema is an object, true or false: ${path.slice(0, 200)} is not`);
    this.checkSize(path);
    if ("$ref" in schema && this.draft <= 7) return this.reference(place);
    for (const key of Object.keys(schema)) checkDraft(key, this.draft, path);
    refuseWhatIsNeverKept(schema, path);
    const plain: Plain = {};
    const all = valueKeywords(schema, path, plain, this);
    stringKeywords(schema, path, plain);
    arrayKeywords(place, plain, this);
    const more = objectKeywords(place, plain, this);
    const block = Object.keys(plain).length;
    this.applicators(place, plain, all);
    all.push(...more, ...this.negations(schema, path, plain), ...this.conditions(place, plain));
    return joined(plain, all, block > 0 && comesFirst(schema));
  }

  private checkSize(path: string): void {
    if (path.split("/").length > MOST_LEVELS) {
      throw new SettingError(
        "schema",
        `it is nested deeper than ${MOST_LEVELS} levels, at ${path.slice(0, 80)}...`,
      );
    }
    if (++this.schemas > MOST_SCHEMAS) {
      throw new SettingError("schema", `it has more than ${MOST_SCHEMAS} schemas in it`);
    }
  }

  private reference(place: Place): PlainSchema {
    const target = resolve(place, (place.schema as JsonObject).$ref, this.draft);
    if (typeof target.schema === "boolean") return target.schema;
    if (!isObject(target.schema)) throw new SchemaError("$ref", place.path, "it leads to what is no schema");
    let name = this.names.get(target.schema);
    if (name === undefined) {
      if (this.names.size === MOST_DEFINITIONS) {
        throw new SchemaError("$ref", place.path, `at most ${MOST_DEFINITIONS} schemas are referred to`);
      }
      name = `d${this.names.size}`;
      this.names.set(target.schema, name);
      this.references.set(name, place.path);
      this.waiting.push({ name, place: target });
    }
    return { $ref: `#/$defs/${name}` };
  }

  private applicators(place: Place, plain: Plain, all: PlainSchema[]): void {
    const schema = place.schema as JsonObject;
    for (const keyword of Object.keys(schema).filter((key) => IN_PLACE.includes(key))) {
      if (keyword === "$ref") {
        all.push(this.reference(place));
        continue;
      }
      const list = schema[keyword];
      if (!Array.isArray(list) || list.length === 0)
        throw new SchemaError(keyword, place.path, "it has to be a list of schemas");
      const options = list.map((_, i) => this.inner(place, keyword, i));
      if (keyword === "allOf") all.push(...options);
      else if (options.length === 1) all.push(options[0]!);
      else all.push({ anyOf: options });
      if (keyword === "oneOf") this.choices.push({ options, beside: { ...plain }, path: place.path });
    }
  }

  private negations(schema: JsonObject, path: string, plain: Plain): PlainSchema[] {
    if (!("not" in schema)) return [];
    const not = negation(schema.not, plain);
    if (not === null) throw new SchemaError("not", path, "say what is allowed instead");
    this.checkNegation(not, path, "not");
    return [not];
  }

  /** `if`, `then`, `else`: both, or not the first and the last. */
  private conditions(place: Place, plain: Plain): PlainSchema[] {
    const schema = place.schema as JsonObject;
    if (!("if" in schema) || !("then" in schema || "else" in schema)) return [];
    const otherwise = negation(schema.if, plain);
    if (otherwise === null) throw new SchemaError("if", place.path, "write the cases with anyOf");
    this.checkNegation(otherwise, place.path, "if");
    const branch = (keyword: string) => (keyword in schema ? this.inner(place, keyword) : true);
    return [
      {
        anyOf: [{ allOf: [this.inner(place, "if"), branch("then")] }, { allOf: [otherwise, branch("else")] }],
      },
    ];
  }

  /** A negation may name properties, as `properties` does. */
  private checkNegation(schema: PlainSchema, path: string, keyword: string): void {
    if (JSON.stringify(schema).length > 10_000) throw new SchemaError(keyword, path, "it is too long");
    this.oneSpelling();
  }

  /** References that lead to themselves say nothing. */
  private checkReferences(root: PlainSchema): void {
    const done = new Set<PlainSchema>();
    const open = new Set<string>();
    const visit = (schema: PlainSchema): void => {
      if (typeof schema === "boolean" || done.has(schema)) return;
      if (schema.$ref) this.checkReference(schema.$ref.slice("#/$defs/".length), open, visit);
      for (const part of [...(schema.allOf ?? []), ...(schema.anyOf ?? [])]) visit(part);
      done.add(schema);
    };
    visit(root);
    for (const [name, schema] of this.definitions) {
      open.add(name);
      visit(schema);
      open.delete(name);
    }
  }

  private checkReference(name: string, open: Set<string>, visit: (schema: PlainSchema) => void): void {
    if (open.has(name)) {
      throw new SchemaError(
        "$ref",
        this.references.get(name)!,
        "it leads back to itself with nothing in between",
      );
    }
    open.add(name);
    visit(this.definitions.get(name)!);
    open.delete(name);
  }
}

function refuseWhatIsNeverKept(schema: JsonObject, path: string): void {
  for (const keyword of ["$dynamicRef", "$recursiveRef"]) {
    if (keyword in schema) throw new SchemaError(keyword, path, "use $ref");
  }
  if (schema.nullable === true) {
    throw new SchemaError("nullable", path, 'JSON Schema does not have it; write "type": [..., "null"]');
  }
}

/** Whether a schema's own keywords come before those that bring in others: names are written in that order. */
function comesFirst(schema: JsonObject): boolean {
  const keys = Object.keys(schema).filter(isKeyword);
  const properties = keys.indexOf("properties");
  return properties < 0 || !keys.slice(0, properties).some((key) => IN_PLACE.includes(key));
}

function joined(plain: Plain, all: readonly PlainSchema[], first: boolean): PlainSchema {
  const needed = all.filter((schema) => schema !== true);
  if (needed.includes(false)) return false;
  const isEmpty = Object.keys(plain).length === 0;
  if (needed.length === 0) return isEmpty ? true : plain;
  if (isEmpty) return needed.length === 1 ? needed[0]! : { allOf: needed };
  return first ? { ...plain, allOf: needed } : { allOf: needed, ...plain };
}
