import type { Place } from "./document.ts";
import type { PlainSchema } from "./json.ts";
import type { Draft } from "./keywords.ts";
import type { Numbers } from "./numbers.ts";

/** Where a schema's keywords are read: what they may ask for. */
export interface Reader {
  readonly draft: Draft;
  readonly numbers: Numbers;
  /** the schema below one's own keys */
  inner(place: Place, ...keys: (string | number)[]): PlainSchema;
  /** Objects have names of their own and take others: no name may then be spelled in two ways. */
  oneSpelling(): void;
  /** A text that only `\u` escapes can write is asked for. */
  escapes(keyword: string, path: string): void;
}
