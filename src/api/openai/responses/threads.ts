import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import type { GivenItem, Item } from "./item-schema.ts";
import type { ResponseStore, StoredItem } from "./store.ts";
import type { ResponseTool } from "./tool-schema.ts";

/** Conversations over several responses: what came before, and items that a request names. */

/** Bounds of what one request may have read again. */
const THREAD_LIMITS = {
  responses: 1000,
  items: REQUEST_LIMITS.messages,
  /** of their JSON, UTF-16 units: about what a request may have */
  units: 4 * 1024 * 1024,
} as const;

/** A response's id, and how those of its items begin and end: an item tells which response it is of. */
export function responseId(token: string): string {
  return `resp_${token}`;
}

export function itemId(kind: string, token: string, number: number): string {
  return `${kind}_${token}_${number}`;
}

const ITEM_ID = /^[a-z]+_([\w-]+)_\d+$/;

/** What a request says, with nothing that has to be looked up. */
export interface ResolvedInput {
  readonly items: readonly Item[];
  /** that came along as items */
  readonly tools: readonly ResponseTool[];
}

export class Threads {
  private readonly store: ResponseStore;

  constructor(store: ResponseStore) {
    this.store = store;
  }

  /**
   * Items of a response and of all that it goes on from, in order.
   * @param previous null: there is none
   * @throws HttpError 400 where one of them is not there, or they are too many
   */
  async before(previous: string | null, owner: string): Promise<Item[]> {
    const parts: (readonly StoredItem[])[] = [];
    let [items, units] = [0, 0];
    for (let id = previous; id !== null; ) {
      const thread = await this.store.thread(id, owner);
      if (!thread) throw notFound(id);
      for (const part of [thread.output, thread.input]) {
        parts.push(part);
        items += part.length;
        units += JSON.stringify(part).length;
      }
      if (
        items > THREAD_LIMITS.items ||
        units > THREAD_LIMITS.units ||
        parts.length > 2 * THREAD_LIMITS.responses
      )
        throw tooLong();
      id = thread.previous;
    }
    return parts.reverse().flat() as unknown as Item[];
  }

  /** @throws HttpError 404 for an item that is not there */
  async resolved(input: string | readonly GivenItem[], owner: string): Promise<ResolvedInput> {
    if (typeof input === "string")
      return { items: [{ type: "message", role: "user", content: input }], tools: [] };
    const items: Item[] = [];
    const tools: ResponseTool[] = [];
    /** many items of one response are read once */
    const read = new Map<string, readonly StoredItem[]>();
    for (const [number, item] of input.entries()) {
      if (item.type === "additional_tools") tools.push(...item.tools);
      else if (item.type === "item_reference")
        items.push(await this.item(item.id, owner, read, `input.${number}.id`));
      else items.push(item);
    }
    return { items, tools };
  }

  private async item(
    id: string,
    owner: string,
    read: Map<string, readonly StoredItem[]>,
    param: string,
  ): Promise<Item> {
    const token = ITEM_ID.exec(id)?.[1];
    const response = token === undefined ? null : responseId(token);
    if (response !== null && !read.has(response)) {
      if (read.size >= THREAD_LIMITS.responses) throw tooLong();
      const thread = await this.store.thread(response, owner);
      read.set(response, thread ? [...thread.input, ...thread.output] : []);
    }
    const found = read.get(response ?? "")?.find((one) => one.id === id);
    if (found) return found as unknown as Item;
    const message = `${param}: there is no item ${JSON.stringify(id)} here, or none any more: send the item itself`;
    throw new HttpError(404, "item_not_found", message, param);
  }
}

function notFound(id: string): HttpError {
  const message = `there is no response ${JSON.stringify(id)} here, or none any more: send the conversation as input`;
  return new HttpError(400, "previous_response_not_found", message, "previous_response_id");
}

function tooLong(): HttpError {
  const message =
    "the conversation that this goes on from is too long: send what is needed of it as input, without previous_response_id";
  return new HttpError(400, "conversation_too_long", message, "previous_response_id");
}

/** Items as they are kept: each with an id, and texts as parts. @param freshId of an item, by how it begins */
export function keptItems(items: readonly Item[], freshId: (kind: string) => string): StoredItem[] {
  return items.map((item) => {
    const id = item.id ?? freshId(KINDS[item.type]);
    if (item.type !== "message") return { ...item, id };
    const { role, content } = item;
    const type = role === "assistant" ? "output_text" : "input_text";
    const parts = typeof content === "string" ? [{ type, text: content }] : content;
    return { ...{ id, type: "message", role, status: "completed" }, content: parts };
  });
}

const KINDS: Readonly<Record<Item["type"], string>> = {
  ...{ message: "msg", reasoning: "rs", function_call: "fc", function_call_output: "fco" },
  ...{ custom_tool_call: "ctc", custom_tool_call_output: "ctco" },
};
