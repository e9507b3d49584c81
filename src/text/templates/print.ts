import type { Twins } from "./twins.ts";
import {
  type DictValue,
  isDict,
  isList,
  isNone,
  isText,
  isUndefined,
  keyValue,
  type Value,
} from "./values.ts";

/** How values are written: as Python prints them, and as JSON. */

const printNumber = (value: Value): string => {
  const number = value.value as number;
  if (value.type === "IntegerValue" || !Number.isFinite(number)) return String(number);
  const size = Math.abs(number);
  // Python has an exponent of two digits at least, and other bounds for it.
  if (size >= 1e16 || (size > 0 && size < 1e-4))
    return number.toExponential().replace(/([+-])(\d)$/, "$10$2");
  if (!Number.isInteger(number)) return String(number);
  return Object.is(number, -0) ? "-0.0" : number.toFixed(1);
};

/** Python's str(). */
export function printed(value: Value): string {
  if (isText(value)) return value.value;
  if (isUndefined(value)) return "";
  return represented(value);
}

/** Python's repr(). */
function represented(value: Value): string {
  if (isText(value)) return quoted(value.value);
  if (isNone(value) || isUndefined(value)) return "None";
  if (value.type === "BooleanValue") return value.value ? "True" : "False";
  if (isList(value)) {
    const items = value.value.map(represented).join(", ");
    return `[${items}]`;
  }
  if (isDict(value) || value.type === "NamespaceValue") {
    const entries = [...(value as DictValue).value.entries()].map(
      ([key, item]) => `${represented(keyValue(key))}: ${represented(item)}`,
    );
    return `{${entries.join(", ")}}`;
  }
  return value.type === "IntegerValue" || value.type === "FloatValue" ? printNumber(value) : "<function>";
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function quoted(value: string): string {
  const mark = value.includes("'") && !value.includes('"') ? '"' : "'";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Python escapes them
  const escaped = value.replace(/[\u0000-\u001f\u007f\\]/g, (character) => {
    return ESCAPES[character] ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `${mark}${mark === "'" ? escaped.replaceAll("'", "\\'") : escaped}${mark}`;
}

export interface JsonForm {
  /** spaces, or null: on one line */
  readonly indent: number | null;
  /** between items, and behind keys */
  readonly separators: readonly [string, string];
  readonly sortKeys: boolean;
  readonly ascii: boolean;
}

/** Python's json.dumps(). @throws Error for what JSON has no form for */
export function json(value: Value, form: JsonForm, twins: Twins, depth = 0): string {
  if (isText(value)) return jsonText(value.value, form, twins);
  if (isNone(value) || isUndefined(value)) return "null";
  if (value.type === "BooleanValue") return String(value.value);
  if (value.type === "IntegerValue" || value.type === "FloatValue") return printNumber(value);
  if (isList(value)) {
    return bracketed(
      "[",
      "]",
      value.value.map((item) => json(item, form, twins, depth + 1)),
      form,
      depth,
    );
  }
  if (!isDict(value) && value.type !== "NamespaceValue") throw new Error(`${value.type} has no JSON`);
  const entries = [...(value as DictValue).value.entries()];
  if (form.sortKeys) {
    const plain = ([key]: [string | number, Value]) => twins.plain(String(key));
    entries.sort((a, b) => (plain(a) < plain(b) ? -1 : 1));
  }
  const items = entries.map(([key, item]) => {
    return `${jsonText(String(key), form, twins)}${form.separators[1]}${json(item, form, twins, depth + 1)}`;
  });
  return bracketed("{", "}", items, form, depth);
}

function bracketed(open: string, close: string, items: string[], form: JsonForm, depth: number): string {
  if (form.indent === null || items.length === 0) return `${open}${items.join(form.separators[0])}${close}`;
  const pad = (levels: number) => `\n${" ".repeat(form.indent! * levels)}`;
  const inner = items.join(`${form.separators[0]}${pad(depth + 1)}`);
  return `${open}${pad(depth + 1)}${inner}${pad(depth)}${close}`;
}

function jsonText(value: string, { ascii }: JsonForm, twins: Twins): string {
  const quotedText = JSON.stringify(value);
  if (!ascii) return quotedText;
  let out = "";
  for (let i = 0; i < quotedText.length; i++) {
    const unit = twins.plain(quotedText[i]!).charCodeAt(0);
    out += unit < 0x7f ? quotedText[i] : `\\u${unit.toString(16).padStart(4, "0")}`;
  }
  return out;
}
