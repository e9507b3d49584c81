import type { Answers, BegunAnswer } from "../../answers.ts";
import type { ConversationEvent } from "../../conversation.ts";
import { asHttpError, HttpError } from "../../errors.ts";
import type { Asked, Reply, Route, ServerEvent } from "../../face.ts";
import { responseConversation } from "./conversation.ts";
import { itemPage } from "./pages.ts";
import { parseResponse } from "./schema.ts";
import type { ResponseStore, StoredItem, StoredResponse } from "./store.ts";
import { itemId, keptItems, responseId, Threads } from "./threads.ts";
import { toolsOf } from "./tools.ts";
import { type ResponseEvent, ResponseWriter } from "./writer.ts";

/** OpenAI's Responses: answers, and what is kept of them. */

export interface ResponsesOptions {
  readonly answers: Answers;
  readonly store: ResponseStore;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  /** seconds since 1970 */
  readonly nowSeconds: () => number;
}

/** A response that is being made. */
interface Running {
  readonly id: string;
  readonly owner: string;
  readonly createdSeconds: number;
  readonly previous: string | null;
  readonly input: readonly StoredItem[];
  readonly writer: ResponseWriter;
  /** ends it before its time */
  readonly cancel: AbortController;
  readonly gone: AbortSignal;
  /** it is kept when it has ended */
  keeps: boolean;
}

const ONE = "/v1/responses/:id";

export class Responses {
  readonly routes: readonly Route[] = [
    { method: "POST", path: "/v1/responses", answer: (asked) => this.create(asked) },
    { method: "GET", path: ONE, answer: (asked) => this.retrieve(asked) },
    { method: "DELETE", path: ONE, answer: (asked) => this.remove(asked) },
    { method: "GET", path: `${ONE}/input_items`, answer: (asked) => this.inputItems(asked) },
    { method: "POST", path: `${ONE}/cancel`, bodyless: true, answer: (asked) => this.cancel(asked) },
  ];
  private readonly options: ResponsesOptions;
  private readonly threads: Threads;
  private readonly running = new Map<string, Running>();

  constructor(options: ResponsesOptions) {
    this.options = options;
    this.threads = new Threads(options.store);
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  private async create(asked: Asked): Promise<Reply> {
    const { answers, freshId, nowSeconds } = this.options;
    const body = parseResponse(asked.body, asked.ignored);
    const owner = await ownerOf(asked.key);
    const previous = body.previous_response_id ?? null;
    const earlier = await this.threads.before(previous, owner);
    const { items, tools: more } = await this.threads.resolved(body.input ?? [], owner);
    const tools = toolsOf([...(body.tools ?? []), ...more]);
    // Clients that add such tools do so in each request: the log has them once.
    asked.ignored(tools.dropped.map((one) => one.replace(/\.\d+/g, ".N")));
    const conversation = responseConversation(body, earlier, items, tools);
    const cancel = new AbortController();
    const gone = AbortSignal.any([asked.gone, cancel.signal]);
    const answer = await answers.begin(conversation, { ...asked, gone });
    const token = freshId();
    const created = { id: responseId(token), createdSeconds: nowSeconds() };
    let count = 0;
    const ids = (kind: string) => (kind === "call" ? `call_${freshId()}` : itemId(kind, token, count++));
    const input = keptItems(items, ids);
    const given = asked.body as Readonly<Record<string, unknown>>;
    const head = { id: created.id, created: created.createdSeconds, model: answer.model, body, given };
    const writer = new ResponseWriter(head, {
      ...{ tokenizer: answer.tokenizer, wantsLogprobs: conversation.logprobs !== null, nowSeconds },
      ...{ names: tools.names, freshId: ids },
    });
    const keeps = body.store ?? true;
    const running = { ...created, owner, previous, input, writer, cancel, gone: asked.gone, keeps };
    const begun = { ...answer, dropped: tools.dropped };
    const events = this.events(running, begun);
    if (body.stream) return { ...streamOf(events, writer), begun };
    for await (const _ of events);
    return { kind: "object", body: writer.whole, begun };
  }

  /** To be read to its end, or left. */
  private async *events(
    running: Running,
    { events }: BegunAnswer,
  ): AsyncGenerator<ResponseEvent, void, undefined> {
    const { id, writer, cancel } = running;
    this.running.set(id, running);
    try {
      yield* writer.begin();
      for await (const event of events) {
        const told = cancel.signal.aborted ? cancelled(event) : event;
        // The client may go on from it as soon as it hears of the end.
        const written = told === null ? [] : writer.push(told);
        if (event.kind === "end") await this.keep(running);
        yield* written;
      }
    } catch (error) {
      writer.fail(asHttpError(error));
      await this.keep(running);
      throw error;
    } finally {
      this.running.delete(id);
    }
  }

  private async keep({ id, keeps, gone, cancel, ...running }: Running): Promise<void> {
    // Nobody has heard of the end.
    if (!keeps || (gone.aborted && !cancel.signal.aborted)) return;
    const { owner, createdSeconds, previous, input, writer } = running;
    const thread = { owner, createdSeconds, previous, input, output: writer.output };
    await this.options.store.put({ id, thread, response: writer.response });
  }

  private async retrieve({ params, query, key }: Asked): Promise<Reply> {
    if (query.get("stream") === "true") {
      const message = "stream: a response that was made is read as a whole: leave it out";
      throw new HttpError(400, "unsupported_parameter", message, "stream");
    }
    const owner = await ownerOf(key);
    const { id = "" } = params;
    const running = this.runningOf(id, owner);
    if (running) return { kind: "object", body: running.writer.whole };
    return { kind: "object", body: wholeOf(await this.stored(id, owner)) };
  }

  private async inputItems({ params, query, key }: Asked): Promise<Reply> {
    const owner = await ownerOf(key);
    const { id = "" } = params;
    const input = this.runningOf(id, owner)?.input ?? (await this.stored(id, owner)).thread.input;
    return { kind: "object", body: itemPage(input, query) };
  }

  private async remove({ params, key }: Asked): Promise<Reply> {
    const owner = await ownerOf(key);
    const { id = "" } = params;
    const running = this.runningOf(id, owner);
    if (running) running.keeps = false;
    else if (!(await this.options.store.delete(id, owner))) throw notFound(id);
    return { kind: "object", body: { id, object: "response", deleted: true } };
  }

  /** @throws HttpError 404; 400 for one that has ended */
  private async cancel({ params, key }: Asked): Promise<Reply> {
    const owner = await ownerOf(key);
    const { id = "" } = params;
    const running = this.running.get(id);
    if (running?.owner === owner) {
      running.cancel.abort();
      return { kind: "object", body: { ...running.writer.whole, status: "cancelled" } };
    }
    await this.stored(id, owner);
    throw new HttpError(400, "not_running", `the response ${id} has ended: there is nothing to cancel`);
  }

  /** One that its client may read while it is made. */
  private runningOf(id: string, owner: string): Running | null {
    const running = this.running.get(id);
    return running?.owner === owner && running.keeps ? running : null;
  }

  /** @throws HttpError 404 */
  private async stored(id: string, owner: string): Promise<StoredResponse> {
    const stored = await this.options.store.get(id, owner);
    if (!stored) throw notFound(id);
    return stored;
  }
}

/** What was made before a response was cancelled, and not read yet, is not told. */
function cancelled(event: ConversationEvent): ConversationEvent | null {
  return event.kind === "end" ? { ...event, end: { ...event.end, reason: "cancelled" } } : null;
}

function wholeOf({ response, thread }: StoredResponse): object {
  return { ...response, output: thread.output };
}

function notFound(id: string): HttpError {
  const message = `there is no response ${JSON.stringify(id)} here, or none any more`;
  return new HttpError(404, "response_not_found", message);
}

function streamOf(
  events: AsyncGenerator<ResponseEvent, void, undefined>,
  writer: ResponseWriter,
): Extract<Reply, { kind: "events" }> {
  const named = (data: ResponseEvent): ServerEvent => ({ name: data.type, data });
  async function* all() {
    for await (const event of events) yield named(event);
  }
  return { kind: "events", events: all(), last: null, failed: (error) => named(writer.fail(error)) };
}

/** A hash of the key: what is kept does not tell it. @param key null: the endpoint has none */
async function ownerOf(key: string | null): Promise<string> {
  const text = new TextEncoder().encode(`picospec responses of ${key === null ? "all" : `key ${key}`}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
