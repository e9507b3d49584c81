import { describe, expect, it } from "vitest";
import { cloudOf, hello } from "../../../test/support/cloud-talk.ts";
import { TARGET } from "../../../test/support/target.ts";
import type { Frame, SentVocabulary, VocabularyRequestFrame } from "../../protocol/frame.ts";

/** 1,100 ids in two blocks, and a file of two chunks: five chunks in all. */
const VOCABULARY: SentVocabulary = {
  ...{ type: "BPE", ids: 1100, tokens: 1100, identity: "i" },
  ...{ fileBytes: 300_000, fileHash: "0".repeat(64) },
};
const ask = (chunk: number, part: VocabularyRequestFrame["part"] = "file") =>
  ({ type: "vocabularyRequest", part, chunk }) as const;

/** What a cloud does for an edge that has said hello with these features. */
function talk(features: readonly string[], vocabulary: SentVocabulary | undefined = VOCABULARY) {
  const cloud = cloudOf({ ...TARGET, vocabulary });
  cloud.handle({ kind: "connected", connection: 1, tenant: null }, 0);
  const say = (frame: Frame) => cloud.handle({ kind: "frame", connection: 1, frame }, 0);
  const [greeting] = say({ ...hello, features });
  return { cloud, say, greeting };
}

const error = (code: string) => [
  expect.objectContaining({ frame: expect.objectContaining({ type: "error", session: 0, code }) }),
  { kind: "close", connection: 1 },
];

describe("the vocabulary of a cloud", () => {
  it("is told of to an edge that knows what it is", () => {
    const told = (features: readonly string[]) => talk(features).greeting;
    expect(told(["vocabulary"])).toMatchObject({ frame: { target: { vocabulary: VOCABULARY } } });
    expect(JSON.stringify(told(["identity"]))).not.toContain("fileHash");
  });

  it("goes out chunk by chunk", () => {
    const { say } = talk(["vocabulary"]);
    const chunk = (part: string, number: number) => [
      { kind: "vocabulary", connection: 1, part, chunk: number },
    ];
    expect(say(ask(1))).toEqual(chunk("file", 1));
    expect(say(ask(0, "blocks"))).toEqual(chunk("blocks", 0));
    expect(say(ask(1, "entries"))).toEqual(chunk("entries", 1));
  });

  it.each([
    ["the file", ask(2)],
    ["the hashes of its blocks", ask(1, "blocks")],
    ["its entries", ask(2, "entries")],
  ])("has no chunk past the end of %s", (_, frame) => {
    expect(talk(["vocabulary"]).say(frame)).toEqual(error("bad_frame"));
  });

  it("is not given to an edge that did not list it, or where there is none", () => {
    expect(talk([]).say(ask(0))).toEqual(error("no_tokenizer"));
    const { cloud } = talk(["vocabulary"]);
    cloud.checkIntegrity();
    const none = cloudOf(TARGET);
    none.handle({ kind: "connected", connection: 1, tenant: null }, 0);
    none.handle({ kind: "frame", connection: 1, frame: { ...hello, features: ["vocabulary"] } }, 0);
    expect(none.handle({ kind: "frame", connection: 1, frame: ask(0) }, 0)).toEqual(error("no_tokenizer"));
  });

  it.each([
    ["file", 2],
    ["blocks", 1],
    ["entries", 2],
  ] as const)("is given four times to a connection, each part of it: %s", (part, count) => {
    const { cloud, say } = talk(["vocabulary"]);
    for (let i = 0; i < 4 * count; i++) expect(say(ask(i % count, part))).toHaveLength(1);
    cloud.checkIntegrity();
    expect(say(ask(0, part))).toEqual(error("unexpected_frame"));
  });

  it("is counted anew for the next connection", () => {
    const { cloud, say } = talk(["vocabulary"]);
    for (const [part, count] of [
      ["file", 2],
      ["blocks", 1],
      ["entries", 2],
    ] as const) {
      for (let i = 0; i < 4 * count; i++) expect(say(ask(i % count, part))).toHaveLength(1);
    }
    cloud.checkIntegrity();
    expect(say(ask(0))).toEqual(error("unexpected_frame"));
    cloud.handle({ kind: "disconnected", connection: 1 }, 0);
    cloud.checkIntegrity(true);
  });
});
