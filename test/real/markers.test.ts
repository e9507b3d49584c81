import { describe, expect, it } from "vitest";
import { loadGrammars } from "../../src/device/grammars.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { larkWithMarkers } from "../../src/grammar/markers.ts";
import { inTokenSet } from "../../src/sampling/sampler.ts";
import { realVocabularies } from "../support/vocabularies.ts";

/** Markers of calls that are control tokens of real vocabularies. */

const vocabularies = (await realVocabularies()).filter(({ name }) =>
  ["command-r", "gemma-4", "llama-bpe", "phi-3", "starcoder"].includes(name),
);

describe.each(vocabularies.map(({ name, path }) => [name, path] as const))("of %s", (_, path) => {
  it("come as these tokens: forced, behind free text, and only where the grammar has them", async () => {
    const model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
    try {
      const tokenizer = new LlamaTokenizer(model);
      const ends = tokenizer.endTokens();
      const grammars = await loadGrammars(tokenizer, ends);
      const ids = Array.from({ length: tokenizer.vocabularySize }, (_, id) => id);
      const controls = ids.filter((id) => !ends.includes(id) && tokenizer.specialText(id).length > 4);
      expect(controls.length).toBeGreaterThan(2);
      const [id, other] = controls.slice(-2) as [number, number];
      const marker = tokenizer.specialText(id);
      const source = `start: free? ${JSON.stringify(`${marker}{"a": 1}`)}\nfree[lazy]: /(?s:.*) then /`;
      const matcher = grammars.matcher({ kind: "lark", source: larkWithMarkers(source, [marker]) });
      const before = Array.from(tokenizer.encode("Some text then ", false)).slice(
        tokenizer.addsBegin ? 1 : 0,
      );
      for (const said of [[], before]) {
        const allowed = matcher.allowed(said, 0, said.length)!;
        expect([inTokenSet(allowed, id), inTokenSet(allowed, other)]).toEqual([true, false]);
      }
      const forced = matcher.forced(before, 0, before.length);
      expect(forced[0]).toBe(id);
      const text = Array.from(forced.slice(1), (token) => new TextDecoder().decode(tokenizer.piece(token)));
      expect('{"a": 1}'.startsWith(text.join(""))).toBe(true);
      matcher.close();
      const plain = grammars.matcher({ kind: "lark", source });
      expect(inTokenSet(plain.allowed([], 0, 0)!, id)).toBe(false);
      plain.close();
    } finally {
      model.close();
    }
  });
});
