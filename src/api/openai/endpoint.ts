import { policyNamed } from "../../decoding/policy.ts";
import type { AnswerEnd, Answerer, AnswerRequest, Edge } from "../../edge/edge.ts";
import type { AnswerObserver } from "../../edge/observer.ts";
import type { Seed } from "../../sampling/random.ts";
import { unlessAborted } from "../../util/abort.ts";
import { Turnstile } from "../../util/turnstile.ts";
import { HttpError } from "../errors.ts";
import { chatDemand, parseChat } from "./chat.ts";
import { type ChatShape, chatChunks, chatCompletion, type ResponseHead } from "./chat-response.ts";
import { allChoices, type ChoiceEvent, gathered } from "./choice.ts";
import { completion, completionChunks } from "./completion-response.ts";
import { completionDemands, parseCompletion } from "./completions.ts";
import { commonRequest } from "./request.ts";

/** OpenAI's API over one edge or several, without a socket: parsed bodies in, objects or streams of objects out. */

export interface EndpointOptions {
  /** one, or one for each model: the first is the default, and requests name the others */
  readonly edge: Edge | readonly Edge[];
  readonly freshSeed: () => Seed;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  /** seconds since 1970 */
  readonly nowSeconds: () => number;
  /** answers that are made at a time; others wait, up to `waiting` of them */
  readonly concurrent: number;
  readonly waiting: number;
  /** called for each answer of a request: counts, logs or traces it; default: nothing does */
  readonly observe?: (requestId: string) => AnswerObserver;
}

export type Reply = (
  | { readonly kind: "object"; readonly body: unknown }
  /** objects as they come; an error may end it, also before the first */
  | { readonly kind: "stream"; readonly chunks: AsyncGenerator<unknown, void, undefined> }
) & {
  /** keywords of the request's schemas that the answer does not keep to, in words: the client has allowed that */
  readonly relaxed?: readonly string[];
  readonly answeredBy: AnswerEnd["answeredBy"];
};

export class Endpoint {
  private readonly options: EndpointOptions;
  private readonly turnstile: Turnstile;

  constructor(options: EndpointOptions) {
    this.options = options;
    this.turnstile = new Turnstile(options.concurrent, options.waiting);
  }

  /** answers that are being made, and requests that wait */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.turnstile.inside, waiting: this.turnstile.waiting };
  }

  /** How the clouds are, for who watches over this endpoint. */
  get health(): Readonly<Record<string, unknown>> {
    const models = this.edges.map((edge) => {
      const { up, error } = edge.cloud ?? { up: null, error: null };
      const cloud = up === null ? "none" : up ? "up" : "down";
      return {
        id: edge.model === null ? null : edge.modelName,
        cloud,
        ...(error ? { code: error.code, reason: error.message } : {}),
      };
    });
    const up = models.some(({ cloud }) => cloud === "up");
    const none = models.every(({ cloud }) => cloud === "none");
    return {
      ...this.load,
      cloud: none ? "none" : up ? "up" : "down",
      offline: this.edges[0]!.offline,
      models,
    };
  }

  models(): unknown {
    const known = this.edges.filter(({ model }) => model !== null);
    return { object: "list", data: known.map((edge) => this.model(edge)) };
  }

  /** @throws HttpError 404 */
  modelNamed(name: string): unknown {
    const edge = this.edges.find((one) => one.model !== null && one.modelName === name);
    if (!edge) throw noModel(name, this.edges);
    return this.model(edge);
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  async chat(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const { freshId, freshSeed } = this.options;
    const chat = parseChat(body);
    const edge = this.edgeFor(chat.model);
    const common = commonRequest(chat, freshSeed);
    const count = chat.n ?? 1;
    const begun = await this.begin(edge, chat.policy, count, signal, (answerer) => {
      const { readsCalls, relaxed, ...demand } = chatDemand(chat, edge.templateBy(answerer));
      const choices = Array.from({ length: count }, (_, choice) => ({ ...common(choice), ...demand }));
      return { requests: this.observed(choices, requestId), readsCalls, relaxed };
    });
    const head = this.head("chatcmpl", edge, begun);
    const { relaxed, events, answeredBy } = begun;
    const shape: ChatShape = {
      tokenizer: edge.tokenizerBy(begun.answerer.opener),
      wantsLogprobs: chat.logprobs ?? false,
      callId: () => `call_${freshId()}`,
    };
    if (!chat.stream) {
      const whole = chatCompletion(head, await gathered(count, events), shape);
      return { kind: "object", body: whole, relaxed, answeredBy };
    }
    const includeUsage = chat.stream_options?.include_usage ?? false;
    const chunks = chatChunks(head, count, events, includeUsage, shape);
    return { kind: "stream", chunks, relaxed, answeredBy };
  }

  /** @throws HttpError, SettingError, CloudError */
  async complete(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const { freshSeed } = this.options;
    const given = parseCompletion(body);
    const edge = this.edgeFor(given.model);
    const common = commonRequest(given, freshSeed);
    const each = given.n ?? 1;
    // Choices of the first prompt come first.
    const { demands, relaxed } = completionDemands(given);
    const choices = demands.flatMap((demand) =>
      Array.from({ length: each }, (_, choice) => ({ ...common(choice), ...demand })),
    );
    const requests = this.observed(choices, requestId);
    const asked = { requests, readsCalls: false, relaxed };
    const begun = await this.begin(edge, given.policy, requests.length, signal, () => asked);
    const head = this.head("cmpl", edge, begun);
    const { events, answeredBy } = begun;
    const tokenizer = edge.tokenizerBy(begun.answerer.opener);
    const shape = { tokenizer, logprobs: given.logprobs ?? null, choicesPerPrompt: each };
    if (!given.stream) {
      const whole = completion(head, await gathered(requests.length, events), shape);
      return { kind: "object", body: whole, relaxed, answeredBy };
    }
    const includeUsage = given.stream_options?.include_usage ?? false;
    const chunks = completionChunks(head, requests.length, events, includeUsage, shape);
    return { kind: "stream", chunks, relaxed, answeredBy };
  }

  private observed(requests: readonly AnswerRequest[], requestId: string): AnswerRequest[] {
    const { observe } = this.options;
    return requests.map((request) => (observe ? { ...request, observer: observe(requestId) } : request));
  }

  private get edges(): readonly Edge[] {
    const { edge } = this.options;
    return Array.isArray(edge) ? edge : [edge as Edge];
  }

  /**
   * Where only one model is served it answers, whatever it is called.
   * @throws HttpError 404
   */
  private edgeFor(name: string | undefined): Edge {
    const { edges } = this;
    if (name === undefined || edges.length === 1) return edges[0]!;
    const edge = edges.find((one) => one.modelName === name);
    if (!edge) throw noModel(name, edges);
    return edge;
  }

  private head(kind: string, edge: Edge, { answerer, answeredBy }: Begun): ResponseHead {
    const { freshId, nowSeconds } = this.options;
    const { opener, standsIn } = answerer;
    return {
      id: `${kind}-${freshId()}`,
      created: nowSeconds(),
      // Whose text it is, also where another model was asked for.
      model: standsIn ? opener.model.name : edge.modelName,
      ...(answeredBy === "edge" ? { system_fingerprint: EDGE_FINGERPRINT } : {}),
    };
  }

  private model(edge: Edge): unknown {
    return {
      id: edge.modelName,
      object: "model",
      created: this.options.nowSeconds(),
      owned_by: "picospec",
      context_length: edge.contextTokens,
    };
  }

  /**
   * When it is the request's turn, chooses the model that answers; then all of its choices begin together.
   * @param ask what is asked of that model @throws what it throws; TurnstileError, CloudError
   */
  private async begin(
    edge: Edge,
    policy: string | null | undefined,
    count: number,
    signal: AbortSignal,
    ask: (answerer: Answerer) => Omit<Asked, "answerer">,
  ): Promise<Begun> {
    await this.turnstile.enter(count, signal);
    try {
      const choosing = edge.answerer(policy ? policyNamed(policy) : undefined);
      const answerer = await unlessAborted(choosing, signal);
      if (!answerer) throw new HttpError(499, "cancelled", "the client has gone");
      const asked = { ...ask(answerer), answerer };
      const answeredBy = answerer.policy.target ? "target" : "edge";
      return { answerer, answeredBy, relaxed: asked.relaxed, events: this.run(edge, asked, signal) };
    } catch (error) {
      this.turnstile.leave(count);
      throw error;
    }
  }

  /** Its places are given back when it is read to its end, or left: the caller begins to read it at once. */
  private async *run(
    edge: Edge,
    { requests, readsCalls, answerer }: Asked,
    signal: AbortSignal,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    try {
      const asked = requests.map((request) => ({ ...request, answerer }));
      yield* allChoices(edge, asked, readsCalls, signal);
    } finally {
      this.turnstile.leave(requests.length);
    }
  }
}

/** What is asked of one model. */
interface Asked {
  readonly requests: readonly AnswerRequest[];
  readonly readsCalls: boolean;
  readonly relaxed: readonly string[];
  readonly answerer: Answerer;
}

/** An answer of which it is known whose it will be. */
interface Begun extends Pick<Reply, "answeredBy"> {
  readonly answerer: Answerer;
  readonly relaxed: readonly string[];
  readonly events: AsyncGenerator<ChoiceEvent, void, undefined>;
}

/** Marks text of the small model alone, in OpenAI's field for what made an answer. */
const EDGE_FINGERPRINT = "picospec-edge-alone";

function noModel(name: string, edges: readonly Edge[]): HttpError {
  const names = edges.filter(({ model }) => model !== null).map(({ modelName }) => modelName);
  const there = names.length > 0 && edges.length > 1 ? `; there are ${names.join(", ")}` : "";
  return new HttpError(
    404,
    "model_not_found",
    `there is no model ${JSON.stringify(name)} here${there}`,
    "model",
  );
}
