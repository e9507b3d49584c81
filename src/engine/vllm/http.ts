import { Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, Agent as SecureAgent } from "node:https";
import type { CancelTimer, Clock } from "../../util/clock.ts";
import { messageOf, SettingError } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import { REFUSED } from "../live-engine.ts";
import { EventReader } from "./sse.ts";

/** HTTP to one server: JSON in, JSON or a stream of events out, each with a deadline and a bound. */

/** Bounds of what a server may make us wait for, or keep. */
const HTTP_LIMITS = {
  /** of an answer that is no stream, bytes */
  bodyBytes: 8 * 2 ** 20,
  /** of an error's text that goes into a message, UTF-16 units */
  errorUnits: 400,
  /** for an answer that is no stream, ms */
  answerMs: 20_000,
  /** for the next event of a stream, ms: a request may wait for its turn behind others */
  eventMs: 300_000,
} as const;

type HttpLimits = Readonly<Record<keyof typeof HTTP_LIMITS, number>>;

/** Codes of errors: what is to be done differs. */
const AWAY = "engine_away";
const BAD_KEY = "engine_key";

/** A request that did not get its answer; another one may. */
export class LostRequest extends EngineError {
  /** It is the server, and not this request: none should begin there for a while. */
  readonly rests: boolean;

  constructor(message: string, how: { rests?: boolean; code?: string; cause?: unknown } = {}) {
    super(how.code ?? AWAY, message, { cause: how.cause });
    this.rests = how.rests ?? false;
  }
}

/** Statuses of a request that is wrong itself: no server would take it. */
const WRONG_REQUEST = [400, 413, 422];

/** Statuses of a server that is down, or of a proxy before one; 500 may be the fault of one request. */
const UNAVAILABLE = [502, 503, 504];

export interface Answer {
  readonly status: number;
  /** undefined: it is no JSON */
  readonly json: unknown;
}

export interface EventListener {
  /** an event, as JSON; true: it says something, and the next one has its whole time */
  event(json: unknown): boolean;
  /** the stream ended as it should, or in the middle: its events have said which */
  ended(): void;
  /** nothing follows */
  failed(error: EngineError): void;
}

export interface OpenStream {
  /** Hangs up; nothing of it follows. */
  close(): void;
}

export interface HttpOptions {
  readonly url: string;
  /** null: none is wanted */
  readonly apiKey: string | null;
  readonly clock: Clock;
  readonly limits?: Partial<HttpLimits>;
}

/** @throws SettingError for what is no URL of HTTP */
function checkUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && (url.protocol === "http:" || url.protocol === "https:") && url.username === "") return url;
  throw new SettingError("url", `--url is that of a server, such as http://127.0.0.1:8000, not "${text}"`);
}

export class HttpServer {
  /** without a path of its own, for messages */
  readonly name: string;
  private readonly url: URL;
  private readonly apiKey: string | null;
  private readonly clock: Clock;
  private readonly limits: HttpLimits;
  private readonly agent: Agent | SecureAgent;
  private readonly open = new Set<ClientRequest>();

  /** @throws SettingError for what is no URL of HTTP */
  constructor({ url, apiKey, clock, limits = {} }: HttpOptions) {
    this.url = checkUrl(url);
    this.name = this.url.origin;
    this.apiKey = apiKey;
    this.clock = clock;
    this.limits = { ...HTTP_LIMITS, ...limits };
    // A connection that is kept can be closed by the server just as it is used again, and that would look like a loss.
    const how = { keepAlive: false, noDelay: true };
    this.agent = this.url.protocol === "https:" ? new SecureAgent(how) : new Agent(how);
  }

  /**
   * @param body null: GET
   * @throws EngineError `engine_away`
   */
  ask(path: string, body: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = this.send(path, body, "application/json", {});
      const cancel = this.deadline(sent, this.limits.answerMs, reject);
      const fail = (error: Error) => {
        cancel();
        reject(this.away(error));
      };
      sent.on("error", fail);
      sent.on("response", (response) => {
        this.bodyOf(response).then((text) => {
          cancel();
          resolve({ status: response.statusCode ?? 0, json: jsonOf(text) });
        }, fail);
      });
    });
  }

  /** Posts a request whose answer comes as it is made. @param headers besides our own */
  stream(
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
    listener: EventListener,
  ): OpenStream {
    const sent = this.send(path, body, "text/event-stream", headers);
    let isOpen = true;
    let cancelTimer: CancelTimer = () => {};
    const over = (tell: () => void) => {
      if (!isOpen) return;
      isOpen = false;
      cancelTimer();
      sent.destroy();
      tell();
    };
    const fail = (error: EngineError) => over(() => listener.failed(error));
    const wait = () => {
      cancelTimer();
      cancelTimer = this.deadline(sent, this.limits.eventMs, fail);
    };
    wait();
    sent.on("error", (error) => fail(this.away(error)));
    sent.on("response", (response) => {
      if (response.statusCode !== 200) {
        this.bodyOf(response).then(
          (text) => fail(this.refusal(response.statusCode ?? 0, jsonOf(text))),
          (error: Error) => fail(this.away(error)),
        );
        return;
      }
      const reader = new EventReader();
      response.on("data", (bytes: Uint8Array) => {
        try {
          for (const data of reader.push(bytes)) {
            if (!isOpen) return;
            // An event that says nothing must not keep a request for ever.
            const isOfUse = data !== "[DONE]" && listener.event(this.eventOf(data));
            if (isOfUse && isOpen) wait();
          }
        } catch (error) {
          // Past this handler an error would end the process.
          fail(error instanceof EngineError ? error : this.unread(error));
        }
      });
      response.on("error", (error) => fail(this.away(error)));
      response.on("end", () => over(() => listener.ended()));
    });
    return { close: () => over(() => {}) };
  }

  /** What an answer that is none says: whether to ask elsewhere, or otherwise. */
  refusal(status: number, json: unknown): EngineError {
    const said = messageIn(json).slice(0, this.limits.errorUnits);
    const why = said === "" ? `status ${status}` : said;
    if (WRONG_REQUEST.includes(status)) {
      return new EngineError(REFUSED, `${this.name} refuses the request: ${why}`);
    }
    if (status === 401) {
      const message = `${this.name} wants another key; give it with --engine-api-key or PICOSPEC_ENGINE_API_KEY`;
      return new LostRequest(message, { code: BAD_KEY, rests: true });
    }
    if (status >= 500 || status === 429 || status === 408) {
      const rests = status < 500 || UNAVAILABLE.includes(status);
      return new LostRequest(`${this.name} cannot serve now (${why})`, { rests });
    }
    const message = `${this.name} does not serve the model's requests (status ${status}: ${why}); is --url that of vllm serve?`;
    return new LostRequest(message, { rests: true });
  }

  close(): void {
    for (const sent of this.open) sent.destroy();
    this.agent.destroy();
  }

  private send(
    path: string,
    body: unknown,
    accept: string,
    headers: Readonly<Record<string, string>>,
  ): ClientRequest {
    const text = body === null ? null : Buffer.from(JSON.stringify(body));
    const base = this.url.pathname.replace(/\/$/, "");
    const make = this.url.protocol === "https:" ? requestHttps : requestHttp;
    const sent = make(new URL(base + path, this.url), {
      method: text === null ? "GET" : "POST",
      agent: this.agent,
      headers: {
        accept,
        ...(text ? { "content-type": "application/json", "content-length": text.length } : {}),
        ...(this.apiKey === null ? {} : { authorization: `Bearer ${this.apiKey}` }),
        ...headers,
      },
    });
    this.open.add(sent);
    sent.on("close", () => this.open.delete(sent));
    sent.end(text ?? undefined);
    return sent;
  }

  private deadline(sent: ClientRequest, ms: number, late: (error: EngineError) => void): CancelTimer {
    return this.clock.schedule(this.clock.nowMs() + ms, () => {
      late(new LostRequest(`${this.name} has said nothing for ${ms / 1000} s`));
      sent.destroy();
    });
  }

  private async bodyOf(response: IncomingMessage): Promise<string> {
    const parts: Buffer[] = [];
    let size = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      size += part.length;
      if (size > this.limits.bodyBytes)
        throw new Error(`an answer of more than ${this.limits.bodyBytes} bytes`);
      parts.push(part);
    }
    return Buffer.concat(parts).toString("utf8");
  }

  /** @throws EngineError */
  private eventOf(data: string): unknown {
    const json = jsonOf(data);
    if (json !== undefined) return json;
    throw new LostRequest(`${this.name} sent an event that is no JSON`);
  }

  private away(error: Error): EngineError {
    if (error instanceof EngineError) return error;
    const { code } = error as NodeJS.ErrnoException;
    const message = `${this.name} does not answer (${code ?? error.message}): is vLLM running there? Start it, or correct --url`;
    return new LostRequest(message, { rests: true, cause: error });
  }

  private unread(error: unknown): EngineError {
    return new LostRequest(`an answer of ${this.name} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Errors of vLLM, of FastAPI, and of proxies; empty: it says none. */
export function messageIn(json: unknown): string {
  const { error, detail, message } = fieldsOf(json);
  const { message: inner } = fieldsOf(error);
  // FastAPI lists what is wrong with a body.
  const listed = Array.isArray(detail) ? detail.map((one) => fieldsOf(one).msg) : [];
  const said = [inner, message, error, detail, ...listed];
  return said.find((text): text is string => typeof text === "string") ?? "";
}

function fieldsOf(json: unknown): Record<string, unknown> {
  return typeof json === "object" && json !== null ? (json as Record<string, unknown>) : {};
}
