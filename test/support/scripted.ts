import { Answers, type AnswersOptions } from "../../src/api/answers.ts";
import { type Caller, createApp } from "../../src/api/app.ts";
import { type FacesOptions, facesOf } from "../../src/api/faces.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { CloudError } from "../../src/edge/connection.ts";
import { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import { Edge } from "../../src/edge/edge.ts";
import type { LocalOpener } from "../../src/edge/local-opener.ts";
import type { OpenedSession } from "../../src/edge/opener.ts";
import type { Grammars } from "../../src/grammar/grammar.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { inTokenSet } from "../../src/sampling/sampler.ts";
import type { FillInTokens } from "../../src/text/fill-in.ts";
import { SILENT_LOG } from "../../src/util/log.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { ByteTokenizer, END } from "./byte-grammars.ts";

/** An endpoint whose model says what a script has it say: for what becomes of the text of any family. */

/** Bytes, and special tokens that are no text. */
export class ScriptTokenizer extends ByteTokenizer {
  readonly specials: readonly string[];
  /** where there are special tokens of these names */
  readonly fillIn: FillInTokens | null;

  constructor(specials: readonly string[]) {
    super();
    this.specials = [...specials].sort((a, b) => b.length - a.length);
    const [before, after, middle] = ["<before>", "<after>", "<middle>"].map((text) => {
      const index = this.specials.indexOf(text);
      return index < 0 ? null : super.vocabularySize + index;
    }) as [number | null, number | null, number | null];
    this.fillIn = before === null || after === null || middle === null ? null : { before, after, middle };
  }

  override get vocabularySize(): number {
    return super.vocabularySize + this.specials.length;
  }

  override encode(text: string, special = false): Int32Array {
    if (!special) return Int32Array.from(this.bytes(text));
    const ids: number[] = [];
    for (let at = 0; at < text.length; ) {
      const which = this.specials.findIndex((one) => text.startsWith(one, at));
      // A character of two units is one text.
      const next = which < 0 ? String.fromCodePoint(text.codePointAt(at)!) : this.specials[which]!;
      ids.push(...(which < 0 ? this.bytes(next) : [super.vocabularySize + which]));
      at += next.length;
    }
    return Int32Array.from(ids);
  }

  specialText(token: number): string {
    return this.specials[token - super.vocabularySize] ?? "";
  }

  /** Special tokens by their texts. */
  decode(tokens: Int32Array): string {
    const decoder = new TextDecoder();
    return Array.from(
      tokens,
      (token) => decoder.decode(this.piece(token), { stream: true }) + this.specialText(token),
    ).join("");
  }
}

/** What the model says to a prompt. */
export type Script = (prompt: string) => string;

/** @param script is asked once for each answer; what it says keeps to the grammar, or the answer fails */
function scriptedOpener(
  script: Script,
  tokenizer: ScriptTokenizer,
  chatTemplate: string,
  grammars: Grammars,
): LocalOpener {
  const open = (settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession => {
    let cancelled = false;
    const { grammar, maxTokens } = settings;
    const matcher = grammar ? grammars.matcher(grammar) : null;
    const text = script(tokenizer.decode(prompt));
    const tokens = [...tokenizer.encode(text, true), END];
    void (async () => {
      const statistics = new PipelineStatistics();
      const said: number[] = [];
      for (const token of tokens) {
        await Promise.resolve();
        if (cancelled || said.length === maxTokens || token === END) break;
        const allowed = matcher?.allowed(said, 0, said.length);
        if (allowed === null || (allowed && !inTokenSet(allowed, token))) {
          const rest = tokenizer.decode(Int32Array.from(tokens.slice(said.length, -1)));
          const told = new CloudError("not_allowed", `the grammar does not allow ${JSON.stringify(rest)}`);
          listener.finished({ kind: "failed", code: told.code, message: told.message }, statistics);
          return;
        }
        said.push(token);
        statistics.tokens++;
        listener.token?.(token, "draft", prompt.length + said.length - 1);
      }
      const reason = cancelled ? "cancelled" : said.length === maxTokens ? "length" : "end";
      listener.finished({ kind: "done", reason, usage: null }, statistics);
    })();
    return { cancel: () => (cancelled = true) } as unknown as OpenedSession;
  };
  const model = {
    ...{ name: "script", vocabularySize: tokenizer.vocabularySize, contextTokens: 100_000 },
    ...{ endTokens: [END], chatTemplate },
  };
  return { open, model, drafter: null } as unknown as LocalOpener;
}

export interface ScriptedOptions extends Pick<AnswersOptions, "formatOf"> {
  readonly script: Script;
  readonly template: string;
  /** texts of tokens that are no text by themselves */
  readonly specials: readonly string[];
  /** over the vocabulary of a `ScriptTokenizer` of these */
  readonly grammars: Grammars;
  /** clients have to bring it; default: none */
  readonly apiKey?: string;
  /** what faces take besides */
  readonly faces?: Partial<FacesOptions>;
}

/** An edge without a cloud whose small model is the script. */
export function scriptedEdge({ script, template, specials, grammars }: ScriptedOptions): Edge {
  const tokenizer = new ScriptTokenizer(specials);
  return new Edge({
    ...{ remote: null, tokenizer, chatTemplate: null, freshSeed: scriptedSeed, policy: POLICIES.edge },
    local: scriptedOpener(script, tokenizer, template, grammars),
  });
}

export const scriptedSeed = () => toSeed(1);

/** @returns what a client takes for `fetch` */
export function scriptedFetch(options: ScriptedOptions): typeof fetch {
  const { apiKey = null, faces, formatOf } = options;
  const rest = formatOf ? { formatOf } : {};
  const edge = scriptedEdge(options);
  const answers = new Answers({ ...rest, edge, freshSeed: scriptedSeed, concurrent: 4, waiting: 4 });
  let ids = 0;
  const clock = new VirtualClock();
  const app = createApp({
    faces: facesOf({
      ...{ answers, clock, freshId: () => `${ids++}` },
      ...{ nowSeconds: () => 0, nowText: () => "1970-01-01T00:00:00.000Z", ...faces },
    }),
    ...{ guard: { hosts: [], origins: [], apiKey }, notReady: () => null },
    ...{ log: SILENT_LOG, clock },
  });
  return async (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set("host", "localhost");
    const request = new Request(url as string, { ...init, headers });
    const caller: Caller = {
      ...{ requestId: "r", gone: init?.signal ?? new AbortController().signal, failed: () => {} },
      body: async () => JSON.parse(String(init?.body)),
    };
    return app.fetch(request, caller);
  };
}
