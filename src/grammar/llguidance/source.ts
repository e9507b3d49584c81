import type { Grammar } from "../../decoding/grammar.ts";
import { larkOfEbnf } from "../ebnf/lark.ts";
import { preparedLark } from "../schema/inline.ts";
import { preparedSchema } from "../schema/prepare.ts";
import type { LibraryKind } from "./library.ts";

/** A grammar in a language that llguidance reads. */
export interface LibraryGrammar {
  readonly kind: LibraryKind;
  readonly text: string;
}

/**
 * What llguidance is given for a grammar.
 * @throws SettingError `grammar` or `schema` for one that is none, or that cannot be kept
 */
export function libraryGrammar({ kind, source }: Grammar): LibraryGrammar {
  switch (kind) {
    case "ebnf":
      return { kind: "lark", text: larkOfEbnf(source) };
    case "json_schema":
      return { kind, text: preparedSchema(source) };
    case "lark":
      return { kind, text: preparedLark(source) };
    default:
      return { kind, text: source };
  }
}
