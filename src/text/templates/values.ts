import { Environment } from "@huggingface/jinja";
import type { Twins } from "./twins.ts";

/** Values of the template engine's runtime, whose classes its package does not export. */

export interface Value {
  readonly type: string;
  readonly value: unknown;
  __bool__(): { readonly value: boolean };
}

export interface ListValue extends Value {
  readonly value: Value[];
}

/** Keys are texts, or whole numbers. */
export interface DictValue extends Value {
  readonly value: Map<string | number, Value>;
}

export type Call = (args: Value[], scope: Scope) => Value;

/** Variables of a block; inner blocks see those of outer ones. */
export interface Scope {
  setVariable(name: string, value: Value): Value;
  lookupVariable(name: string): Value;
}

type Maker<T> = new (value: T) => Value;

function classOf<T>(example: unknown): Maker<T> {
  return (new Environment().set("example", example) as object).constructor as Maker<T>;
}

const TextClass = classOf<string>("");
const IntegerClass = classOf<number>(0);
const FloatClass = classOf<number>(0.5);
const TruthClass = classOf<boolean>(true);
const ListClass = classOf<Value[]>([]);
const DictClass = classOf<Map<string | number, Value>>({});
const CallClass = classOf<Call>(() => null);
const NoneClass = classOf<null>(null);
const UndefinedClass = classOf<undefined>(undefined);

export const text = (value: string): Value => new TextClass(value);
export const integer = (value: number): Value => new IntegerClass(value);
export const float = (value: number): Value => new FloatClass(value);
export const truth = (value: boolean): Value => new TruthClass(value);
export const list = (value: Value[]): ListValue => new ListClass(value) as ListValue;
export const dict = (value: Map<string | number, Value>): DictValue => new DictClass(value) as DictValue;
export const call = (value: Call): Value => new CallClass(value);
export const NONE = new NoneClass(null);
export const UNDEFINED = new UndefinedClass(undefined);

export const isText = (value: Value | undefined): value is Value & { readonly value: string } =>
  value?.type === "StringValue";
export const isList = (value: Value | undefined): value is ListValue => value instanceof ListClass;
/** Also the named arguments of a call; not a namespace. */
export const isDict = (value: Value | undefined): value is DictValue => value instanceof DictClass;
export const isNumber = (value: Value | undefined): value is Value & { readonly value: number } =>
  value?.type === "IntegerValue" || value?.type === "FloatValue";
export const isInteger = (value: Value | undefined): value is Value & { readonly value: number } =>
  value?.type === "IntegerValue";
export const isNone = (value: Value | undefined): boolean => value?.type === "NullValue";
export const isUndefined = (value: Value | undefined): boolean =>
  value === undefined || value.type === "UndefinedValue";

/** A dictionary that is asked with plain keys, and shows twins (see twins.ts). */
export class TwinKeys extends Map<string | number, Value> {
  private readonly twins: Twins;
  private readonly shown = new Map<string | number, string | number>();

  constructor(twins: Twins) {
    super();
    this.twins = twins;
  }

  private plain(key: string | number): string | number {
    return typeof key === "string" ? this.twins.plain(key) : key;
  }

  override set(key: string | number, value: Value): this {
    const plain = this.plain(key);
    // The class's own constructor sets before there is a field.
    if (!super.has(plain)) this.shown.set(plain, key);
    return super.set(plain, value);
  }

  override get(key: string | number): Value | undefined {
    return super.get(this.plain(key));
  }

  override has(key: string | number): boolean {
    return super.has(this.plain(key));
  }

  override delete(key: string | number): boolean {
    return super.delete(this.plain(key));
  }

  override *entries(): MapIterator<[string | number, Value]> {
    for (const [key, value] of super.entries()) yield [this.shown.get(key) ?? key, value];
  }

  override *keys(): MapIterator<string | number> {
    for (const [key] of this.entries()) yield key;
  }

  override [Symbol.iterator](): MapIterator<[string | number, Value]> {
    return this.entries();
  }
}

/** The named arguments of a call come last. */
export function argumentsOf(args: readonly Value[]): {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string | number, Value>;
} {
  const last = args.at(-1);
  if (last?.type !== "KeywordArgumentsValue") return { positional: args, named: new Map() };
  return { positional: args.slice(0, -1), named: (last as DictValue).value };
}

/** A key as a template sees it. */
export const keyValue = (key: string | number): Value => (typeof key === "number" ? integer(key) : text(key));

/** What a loop goes over; null: nothing that it could. Nothing at all is an empty list, as for most templates. */
export function itemsOf(value: Value): Value[] | null {
  if (isList(value)) return value.value;
  if (isDict(value)) return [...value.value.keys()].map(keyValue);
  if (isText(value)) return [...value.value].map(text);
  return isNone(value) || isUndefined(value) ? [] : null;
}

/** A number that JSON writes as 1.0 or 1e5: Python reads these as no integers, and prints them so. */
class Decimal {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  /** For who takes it on as JSON. */
  toJSON(): number {
    return this.value;
  }
}

const DECIMAL_KEY = "\0decimal";

/** @returns JSON with `Decimal`s @throws SyntaxError */
export function decimalJson(source: string): unknown {
  JSON.parse(source);
  const marked = source.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (token) => {
    const decimal = token[0] !== '"' && /[.eE]/.test(token) && Number.isInteger(Number(token));
    return decimal ? `{${JSON.stringify(DECIMAL_KEY)}:${token}}` : token;
  });
  return JSON.parse(marked, (_, value) => {
    const number = (value as Record<string, unknown> | null)?.[DECIMAL_KEY];
    return typeof number === "number" ? new Decimal(number) : value;
  });
}

/** JSON as values. @param twinned of a text, how it is shown */
export function toValue(data: unknown, twins: Twins, twinned: (text: string) => string): Value {
  if (data === null) return NONE;
  if (data === undefined) return UNDEFINED;
  if (typeof data === "string") return text(twinned(data));
  if (typeof data === "boolean") return truth(data);
  if (typeof data === "number") return Number.isInteger(data) ? integer(data) : float(data);
  if (data instanceof Decimal) return float(data.value);
  if (Array.isArray(data)) return list(data.map((item) => toValue(item, twins, twinned)));
  const map = new TwinKeys(twins);
  for (const [key, value] of Object.entries(data as object)) {
    map.set(twinned(key), toValue(value, twins, twinned));
  }
  return dict(map);
}
