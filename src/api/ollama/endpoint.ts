import { z } from "zod";
import type { Edge } from "../../edge/edge.ts";
import { unlessAborted } from "../../util/abort.ts";
import type { Clock } from "../../util/clock.ts";
import type { Answers, BegunAnswer } from "../answers.ts";
import { gathered } from "../choices.ts";
import type { Conversation } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { Asked, Face, Reply, Route } from "../face.ts";
import { parsedBody } from "../schema/parse.ts";
import { chatConversation } from "./chat.ts";
import { generateConversation } from "./generate.ts";
import { type ListedModel, listed, running, shown, untagged } from "./models.ts";
import { answerLines, chatSaid, questionSaid, type Said, wholeAnswer } from "./response.ts";
import { parseChat } from "./schema/chat.ts";
import { type CommonBody, modelName } from "./schema/common.ts";
import { parseGenerate } from "./schema/generate.ts";

/** Ollama's API as far as it answers: what manages model files is refused, since there are none to manage here. */

export interface OllamaOptions {
  readonly answers: Answers;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  readonly clock: Clock;
  /** the date and time, ISO 8601 */
  readonly nowText: () => string;
}

/** The release whose API this is: clients ask before they use what came with it. */
const OLLAMA_VERSION = "0.12.11";
/** Programs look for Ollama's own words here, and are told whom they found. */
const HERE = 'PicoSpec answers here by Ollama\'s API. Its clients look for the words "Ollama is running".\n';

const FILES = "models are files of the cloud here: whoever runs it says which are served";
const EMBEDS = "there are no embeddings here: the engine decodes, and gives no vectors";
/** What there is not, and why. */
const MISSING = [
  ...(["pull", "push", "create", "copy", "blobs/:digest"] as const).map(
    (name) => ["POST", name, FILES] as const,
  ),
  ["DELETE", "delete", FILES],
  ["POST", "embed", EMBEDS],
  ["POST", "embeddings", EMBEDS],
] as const;

/** `name`: of clients of older releases */
const showSchema = z.object({
  model: modelName.nullish(),
  name: modelName.nullish(),
  verbose: z.boolean().nullish(),
});

export class Ollama implements Face {
  readonly below = ["/api/"];
  readonly routes: readonly Route[] = [
    { method: "GET", path: "/", answer: () => ({ kind: "text", text: HERE, type: "text/plain" }) },
    { method: "GET", path: "/api/version", answer: () => object({ version: OLLAMA_VERSION }) },
    { method: "GET", path: "/api/tags", answer: () => object({ models: this.models().map(listed) }) },
    { method: "GET", path: "/api/ps", answer: () => object({ models: this.models().map(running) }) },
    { method: "POST", path: "/api/show", answer: (asked) => this.show(asked) },
    { method: "POST", path: "/api/chat", answer: (asked) => this.chat(asked) },
    { method: "POST", path: "/api/generate", answer: (asked) => this.generate(asked) },
    ...MISSING.map(([method, name, why]): Route => {
      const answer = () => {
        throw new HttpError(501, "not_supported", `/api/${name} is not supported: ${why}`);
      };
      return { method, path: `/api/${name}`, answer };
    }),
  ];
  private readonly options: OllamaOptions;
  private readonly since: string;

  constructor(options: OllamaOptions) {
    this.options = options;
    this.since = options.nowText();
  }

  errorBody({ message }: HttpError): { readonly error: string } {
    return { error: message };
  }

  private models(): ListedModel[] {
    return this.options.answers.known.map((edge) => this.listedOf(edge));
  }

  private listedOf(edge: Edge): ListedModel {
    return { edge, model: this.options.answers.modelOf(edge), since: this.since };
  }

  /** @throws HttpError 400, 404 */
  private async show(asked: Asked): Promise<Reply> {
    const { model, name } = parsedBody(showSchema, asked.body, asked.ignored);
    const wanted = model ?? name;
    if (!wanted) throw new HttpError(400, "invalid_value", "model is required", "model");
    return object(shown(this.listedOf(await this.edgeOf(wanted, asked))));
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  private async chat(asked: Asked): Promise<Reply> {
    const body = parseChat(asked.body, asked.ignored);
    const edge = await this.edgeOf(body.model, asked);
    if (!body.messages?.length) return this.load(edge, body, asked, chatSaid);
    return this.answer(edge, body, chatConversation(body, nameOf(edge)), asked, chatSaid);
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  private async generate(asked: Asked): Promise<Reply> {
    const body = parseGenerate(asked.body, asked.ignored);
    const edge = await this.edgeOf(body.model, asked);
    if (!body.prompt && !body.suffix) return this.load(edge, body, asked, questionSaid);
    return this.answer(edge, body, generateConversation(body, nameOf(edge)), asked, questionSaid);
  }

  private async answer(
    edge: Edge,
    body: CommonBody,
    conversation: Conversation,
    asked: Asked,
    said: (said: Said) => object,
  ): Promise<Reply> {
    const { answers, clock, freshId, nowText } = this.options;
    if (body.think && !answers.modelOf(edge).thinks) {
      const message = `${JSON.stringify(body.model)} does not support thinking: leave think away`;
      throw new HttpError(400, "unsupported_parameter", message, "think");
    }
    const askedMs = clock.nowMs();
    const begun = await answers.begin(conversation, asked);
    const shape = {
      ...{ tokenizer: begun.tokenizer, said, nowText },
      model: calledAs(body, edge, begun),
      wantsLogprobs: conversation.logprobs !== null,
      callId: () => `call_${freshId()}`,
      times: { askedMs, begunMs: clock.nowMs(), nowMs: () => clock.nowMs() },
    };
    if (body.stream !== false) return { kind: "lines", lines: answerLines(begun.events, shape), begun };
    const [whole] = await gathered(begun.count, begun.events);
    return { ...object(wholeAnswer(whole!, shape)), begun };
  }

  /** Nothing was asked: it is told that the model is there, which means that its cloud is. */
  private async load(
    edge: Edge,
    { model }: CommonBody,
    { gone }: Asked,
    said: (said: Said) => object,
  ): Promise<Reply> {
    const there = await unlessAborted(edge.answerer(), gone);
    if (!there) throw new HttpError(499, "cancelled", "the client has gone");
    const nothing = said({ text: "", thinking: "", calls: [] });
    return object({ model, created_at: this.options.nowText(), ...nothing, done: true, done_reason: "load" });
  }

  /**
   * By the name that clients have for it, with or without its tag. An only model that is not known yet is waited for.
   * @throws HttpError 404; CloudError
   */
  private async edgeOf(name: string, { gone }: Asked): Promise<Edge> {
    const { answers } = this.options;
    const [first] = answers.edges;
    if (answers.known.length === 0) await unlessAborted(first!.answerer(), gone);
    const wanted = untagged(name);
    const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
    const known = answers.known.map((edge) => ({ edge, name: untagged(edge.modelName) }));
    const found = known.find((one) => one.name === wanted) ?? known.find((one) => same(one.name, wanted));
    if (found) return found.edge;
    // Another model stands in for one whose cloud was never there.
    if (known.length === 0 && answers.edges.length === 1) return first!;
    throw new HttpError(404, "model_not_found", `model '${name}' not found`, "model");
  }
}

/** undefined: not known, and the only one */
function nameOf(edge: Edge): string | undefined {
  return edge.model === null ? undefined : edge.modelName;
}

/** As the client calls it, unless another model stands in. */
function calledAs({ model }: CommonBody, edge: Edge, begun: BegunAnswer): string {
  return begun.model === edge.modelName ? model : begun.model;
}

function object(body: object): Extract<Reply, { kind: "object" }> {
  return { kind: "object", body };
}
