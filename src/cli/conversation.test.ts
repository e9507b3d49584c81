import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ChatMessage } from "../text/chat-template.ts";
import {
  answered,
  asked,
  askedAgain,
  type Conversation,
  emptyConversation,
  fitting,
  messagesOf,
  promptRoom,
} from "./conversation.ts";

/** A token a character, and one for each message. */
const count = (messages: readonly ChatMessage[]) =>
  messages.reduce((sum, { content }) => sum + content.length + 1, 0);

const talk = (system: string | null, ...texts: string[]): Conversation => {
  let conversation = emptyConversation(system);
  for (const [i, text] of texts.entries()) {
    conversation = i % 2 === 0 ? asked(conversation, text) : answered(conversation, text);
  }
  return conversation;
};

describe("a conversation", () => {
  it("is messages in the order in which they were said, the system message first", () => {
    expect(messagesOf(talk("be kind", "a", "b", "c"))).toEqual([
      { role: "system", content: "be kind" },
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
      { role: "user", content: "c" },
    ]);
    expect(messagesOf(talk(null, "a"))).toEqual([{ role: "user", content: "a" }]);
  });

  it("forgets a question that nothing was said to when another is asked", () => {
    const conversation = asked(talk(null, "a", "b", "lost"), "c");
    expect(messagesOf(conversation).map(({ content }) => content)).toEqual(["a", "b", "c"]);
  });

  it("keeps an answer of no text, which is an answer", () => {
    expect(messagesOf(asked(talk(null, "a", ""), "b")).map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "user",
    ]);
  });

  it("opens the last question again, answered or not", () => {
    for (const conversation of [talk("s", "a", "b", "c", "d"), talk("s", "a", "b", "c")]) {
      expect(askedAgain(conversation)).toEqual(talk("s", "a", "b", "c"));
    }
    expect(askedAgain(emptyConversation("s"))).toBeNull();
  });

  it("is not changed by what is made of it", () => {
    const conversation = talk("s", "a", "b");
    const before = structuredClone(conversation);
    asked(conversation, "c");
    askedAgain(conversation);
    answered(conversation, "x");
    expect(conversation).toEqual(before);
  });
});

describe("what fits of a conversation", () => {
  const conversation = talk("ss", "aaa", "bbb", "ccc", "ddd", "eee");

  const counted = async (messages: readonly ChatMessage[]) => count(messages);

  it("is all of it where there is room", async () => {
    expect(await fitting(conversation, 23, counted)).toEqual({
      messages: messagesOf(conversation),
      dropped: 0,
    });
  });

  it("leaves out whole turns, the oldest first, and never the system message", async () => {
    const contents = async (room: number) =>
      (await fitting(conversation, room, counted)).messages.map(({ content }) => content);
    expect(await contents(22)).toEqual(["ss", "ccc", "ddd", "eee"]);
    expect(await contents(15)).toEqual(["ss", "ccc", "ddd", "eee"]);
    expect(await contents(14)).toEqual(["ss", "eee"]);
  });

  it("keeps the last question even where that alone is too long", async () => {
    const { messages, dropped } = await fitting(conversation, 1, counted);
    expect([messages.map(({ content }) => content), dropped]).toEqual([["ss", "eee"], 2]);
    expect(await fitting(talk(null, "long"), 1, counted)).toEqual({
      messages: [{ role: "user", content: "long" }],
      dropped: 0,
    });
  });

  it("is the longest end that fits, whatever the lengths, with few counts", async () => {
    const texts = fc.array(fc.string({ maxLength: 9 }), { minLength: 1, maxLength: 41 });
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 0, max: 300 }), async (all, room) => {
        const value = talk("sys", ...(all.length % 2 === 0 ? all.slice(1) : all));
        let counts = 0;
        const { messages, dropped } = await fitting(value, room, async (some) => {
          counts++;
          return count(some);
        });
        const end = (from: number) => messagesOf({ ...value, turns: value.turns.slice(from) });
        const best = value.turns.findIndex((_, from) => count(end(from)) <= room);
        const expected = best < 0 ? value.turns.length - 1 : best;
        expect([dropped, messages]).toEqual([expected, end(expected)]);
        expect(counts).toBeLessThanOrEqual(2 + Math.ceil(Math.log2(value.turns.length + 1)));
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

it("the answer keeps a quarter of the context, or what it may have at most", () => {
  expect(promptRoom(512, 512)).toBe(384);
  expect(promptRoom(8192, 512)).toBe(7680);
  expect(promptRoom(512, 16)).toBe(496);
});
