import { describe, expect, it } from "vitest";
import { MemoryStore, type StoredItem } from "./store.ts";
import { itemId, responseId, Threads } from "./threads.ts";

const item = (id: string, text = "x"): StoredItem => ({
  ...{ id, type: "message", role: "user" },
  content: text,
});

/** A chain of responses, each with an item that it was asked and one that it said. */
async function chain(count: number, text = "x"): Promise<{ store: MemoryStore; last: string }> {
  const store = new MemoryStore({ responses: 5000, units: 1e8 });
  for (let i = 0; i < count; i++) {
    const token = `${i}`;
    const previous = i === 0 ? null : responseId(`${i - 1}`);
    const thread = {
      ...{ owner: "me", createdSeconds: i, previous },
      ...{ input: [item(itemId("msg", token, 0), text)], output: [item(itemId("msg", token, 1))] },
    };
    await store.put({ id: responseId(token), thread, response: {} });
  }
  return { store, last: responseId(`${count - 1}`) };
}

describe("a thread", () => {
  it("is what all of its responses were asked and said, in order", async () => {
    const { store, last } = await chain(3);
    const ids = (await new Threads(store).before(last, "me")).map(({ id }) => id);
    expect(ids).toEqual(["msg_0_0", "msg_0_1", "msg_1_0", "msg_1_1", "msg_2_0", "msg_2_1"]);
    expect(await new Threads(store).before(null, "me")).toEqual([]);
  });

  it("is bounded by responses and by characters", async () => {
    const { store, last } = await chain(1001);
    const threads = new Threads(store);
    const code = "conversation_too_long";
    await expect(threads.before(last, "me")).rejects.toMatchObject({ status: 400, code });
    expect(await threads.before(responseId("999"), "me")).toHaveLength(2000);
    const large = await chain(5, "x".repeat(1024 * 1024));
    const long = new Threads(large.store);
    await expect(long.before(large.last, "me")).rejects.toMatchObject({ code });
    expect(await long.before(responseId("2"), "me")).toHaveLength(6);
  });

  it("that has lost a part is not gone on from", async () => {
    const { store, last } = await chain(3);
    await store.delete(responseId("1"), "me");
    await expect(new Threads(store).before(last, "me")).rejects.toMatchObject({
      ...{ status: 400, code: "previous_response_not_found", param: "previous_response_id" },
    });
  });

  it("has items that are found by their ids, and by those who made them", async () => {
    const { store } = await chain(2);
    const threads = new Threads(store);
    const input = [{ type: "item_reference" as const, id: "msg_1_1" }];
    expect((await threads.resolved(input, "me")).items).toEqual([item("msg_1_1")]);
    for (const [id, owner] of [
      ...[["msg_1_1", "other"] as const, ["msg_1_2", "me"] as const, ["msg_9_0", "me"] as const],
      ...[["no id", "me"] as const, ["__proto__", "me"] as const],
    ])
      await expect(threads.resolved([{ type: "item_reference", id }], owner)).rejects.toMatchObject({
        ...{ status: 404, code: "item_not_found", param: "input.0.id" },
      });
  });
});
