import { describe, expect, it } from "vitest";
import {
  BLOCK_IDS,
  blockHashes,
  judgePair,
  summarised,
  type VocabularyTable,
  writeEntry,
} from "./vocabulary-pair.ts";

/** A vocabulary of texts; ids in `exempt` are unused, padding or control. */
function table(texts: readonly string[], exempt: readonly number[] = [], type = "BPE"): VocabularyTable {
  const entries = new Uint32Array(2 * texts.length);
  for (const [id, text] of texts.entries()) {
    const bytes = new TextEncoder().encode(text);
    writeEntry(entries, id, bytes, 0, bytes.length, exempt.includes(id));
  }
  const identity = `${type} ${texts.join()} ${exempt.join()}`;
  return { type, ids: texts.length, tokens: texts.length, identity, entries, text: (id) => texts[id]! };
}

const texts = (count: number) => Array.from({ length: count }, (_, id) => `t${id}`);
const changed = (count: number, ...ids: number[]) =>
  texts(count).map((text, id) => (ids.includes(id) ? `x${id}` : text));
const verdict = (own: VocabularyTable, target: VocabularyTable) => judgePair(own, summarised(target));
const barred = (...ids: number[]) => ({ problem: null, barred: Int32Array.from(ids) });

describe("an entry of a table", () => {
  it.each([
    ["", 0x4bf29ce4, 0x84222325],
    ["a", 0x2f63dc4c, 0x8601ec8c],
    ["foobar", 0x05944171, 0xf73967e8],
  ])("is FNV-1a of %j less its highest bit, which says what may differ", (text, high, low) => {
    const plain = table([text]).entries;
    expect([plain[1], plain[0]]).toEqual([high, low]);
    expect(table([text], [0]).entries[1]).toBe((high | 0x8000_0000) >>> 0);
  });
});

describe("a pair", () => {
  it("may have 128 tokens more or less, and not 129", async () => {
    expect(await verdict(table(texts(2128)), table(texts(2000)))).toEqual(barred());
    expect(await verdict(table(texts(2000)), table(texts(2128)))).toEqual(barred());
    expect(await verdict(table(texts(2129)), table(texts(2000)))).toEqual({
      problem:
        "their vocabularies have 2129 tokens in the drafter and 2000 in the target, and may be 128 apart",
    });
  });

  it("is of one type", async () => {
    expect(await verdict(table(texts(20), [], "SPM"), table(texts(20)))).toEqual({
      problem: "their vocabularies are of different types: SPM in the drafter, BPE in the target",
    });
  });

  it("has one text for each id from 5 on, and those that differ before are not drafted", async () => {
    expect(await verdict(table(changed(3000, 0, 4)), table(texts(3000)))).toEqual(barred(0, 4));
    expect(await verdict(table(changed(3000, 4, 5)), table(texts(3000)))).toEqual({
      problem: 'token 5, "x5" in the drafter, is another text in the target',
    });
    expect(await verdict(table(changed(3000, 2999)), table(texts(3000)))).toMatchObject({
      problem: expect.stringContaining("token 2999"),
    });
  });

  it("may differ where one of the two is unused, padding or control: that is not drafted", async () => {
    const other = changed(3000, 7, 1024, 2999);
    expect(await verdict(table(other, [7, 2999]), table(texts(3000), [1024]))).toEqual(barred(7, 1024, 2999));
  });

  it("drafts what is one text, of whatever type each file says that it is", async () => {
    expect(await verdict(table(texts(3000), [7, 1024]), table(texts(3000)))).toEqual(barred());
  });

  it("is none where no token is the same text", async () => {
    expect(await verdict(table(changed(4, 0, 1, 2, 3)), table(texts(4)))).toEqual({
      problem: "no token is the same text in both",
    });
  });

  it("asks for nothing where the tokenizers are one, and else for no more than decides", async () => {
    const asked: (string | number)[] = [];
    const watched = (target: VocabularyTable) => {
      const summary = summarised(target);
      return {
        ...summary,
        blocks: () => {
          asked.push("blocks");
          return summary.blocks();
        },
        entries: (block: number) => {
          asked.push(block);
          return summary.entries(block);
        },
      };
    };
    const target = table(texts(9 * BLOCK_IDS));
    await judgePair(table(texts(9 * BLOCK_IDS)), watched(target));
    expect(asked).toEqual([]);
    const differing = changed(9 * BLOCK_IDS, 2 * BLOCK_IDS, 5 * BLOCK_IDS + 7, 8 * BLOCK_IDS);
    await judgePair(table(differing, [2 * BLOCK_IDS]), watched(target));
    expect(asked).toEqual(["blocks", 2, 5]);
  });

  it("control: hashes of blocks see each text, and what may differ", () => {
    const hashes = (one: VocabularyTable) => blockHashes(one.entries).join();
    const plain = hashes(table(texts(BLOCK_IDS + 1)));
    for (let id = 0; id <= BLOCK_IDS; id += 64) {
      expect(hashes(table(changed(BLOCK_IDS + 1, id)))).not.toBe(plain);
      expect(hashes(table(texts(BLOCK_IDS + 1), [id]))).not.toBe(plain);
    }
  });
});
