import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import type { FakeMailbox } from "./fake-mailbox.ts";

/**
 * vLLM's HTTP API over a toy language: what the adapter uses of it, as release 0.32 answers, with vLLM's own order of
 * sampling. Faults are plain values.
 */

export interface FakeFaults {
  /** a stream is cut after so many steps */
  cutAfter?: number;
  /** requests are answered with this status */
  status?: number;
  /** a stream ends with this reason after so many steps */
  abortAfter?: number;
  /** in place of the first event */
  firstEvent?: string;
  /** nothing is answered */
  isMute?: boolean;
  /** so many steps are told in one chunk */
  merged?: number;
  /** a request ends with "length" after so many tokens, whatever it asks for */
  mostTokens?: number;
  /** requests to abort others are not answered */
  holdsAborts?: boolean;
}

export interface FakeVllmOptions {
  readonly language: ToyLanguage;
  readonly model?: string;
  readonly root?: string;
  readonly apiKey?: string;
  /** /inference/v1/generate: as with --enable-scale-out, refused (403), or not there (404). Default: on */
  readonly scaleOut?: "on" | "off" | "missing";
  /** it has a speculative config; default: where it has a mailbox */
  readonly speculates?: boolean;
  /** `return_token_ids` is known; default: true */
  readonly tellsIds?: boolean;
  readonly mailbox?: FakeMailbox | null;
  readonly stepMs?: number;
  /** uniform draws in [0, 1) */
  readonly random: () => number;
}

/** A request that came, as it was sent. */
export interface FakeRequest {
  readonly path: string;
  readonly body: Record<string, unknown>;
  readonly headers: IncomingMessage["headers"];
  /** its sampling parameters, wherever they are */
  readonly sampling: Record<string, unknown>;
}

interface Sampling {
  readonly temperature: number;
  readonly top_k: number;
  readonly top_p: number;
  readonly min_p: number;
  readonly repetition_penalty: number;
  readonly logit_bias?: Record<string, number>;
  readonly max_tokens: number;
  readonly stop_token_ids: readonly number[];
  readonly logprobs?: number | null;
  readonly structured_outputs?: Record<string, string>;
}

export class FakeVllm {
  readonly requests: FakeRequest[] = [];
  readonly aborted: string[] = [];
  /** requests that aborted them */
  aborts = 0;
  readonly faults: FakeFaults = {};
  /** requests that are being answered */
  running = 0;
  private readonly options: FakeVllmOptions;
  private readonly server: Server;

  private constructor(options: FakeVllmOptions) {
    this.options = options;
    this.server = createServer((request, response) => {
      this.answer(request, response).catch((error) => response.destroy(error as Error));
    });
  }

  /** @param port 0: any free one */
  static async start(options: FakeVllmOptions, port = 0): Promise<FakeVllm> {
    const fake = new FakeVllm(options);
    fake.server.listen(port, "127.0.0.1");
    await once(fake.server, "listening");
    return fake;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Requests for tokens but the adapter's first ones, which find out what the server is. */
  get asked(): FakeRequest[] {
    return this.requests.filter(({ body }) => body.stream === true);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { model = "toy", root = "/nowhere", apiKey, language } = this.options;
    const path = request.url ?? "";
    if (this.faults.isMute) return;
    if (apiKey !== undefined && request.headers.authorization !== `Bearer ${apiKey}`) {
      return json(response, 401, { error: "Unauthorized" });
    }
    if (this.faults.status !== undefined) {
      return json(response, this.faults.status, {
        error: { message: "on purpose", code: this.faults.status },
      });
    }
    if (path === "/version") return json(response, 200, { version: "0.32.0" });
    if (path === "/v1/models") {
      const one = { id: model, root, max_model_len: language.contextTokens, object: "model" };
      return json(response, 200, { object: "list", data: [one] });
    }
    const body = JSON.parse(await textOf(request)) as Record<string, unknown>;
    if (path === "/inference/v1/abort_requests") {
      this.aborts++;
      this.aborted.push(...(body.request_ids as string[]));
      if (this.faults.holdsAborts) return;
      return void response.end();
    }
    const { scaleOut = "on" } = this.options;
    const isScaleOut = path === "/inference/v1/generate";
    if (isScaleOut && scaleOut === "off") {
      const message = "Scale-out endpoints are disabled. Restart vllm serve with --enable-scale-out.";
      return json(response, 403, { error: { message, type: "PermissionDeniedError", code: 403 } });
    }
    if (!(isScaleOut && scaleOut === "on") && path !== "/v1/completions") {
      return json(response, 404, { detail: "Not Found" });
    }
    const sampling = (isScaleOut ? body.sampling_params : body) as Record<string, unknown>;
    this.requests.push({ path, body, headers: request.headers, sampling });
    const wrong = this.refusal(body, sampling as unknown as Sampling, model);
    if (wrong) return json(response, wrong.status, { error: { message: wrong.message, code: wrong.status } });
    this.running++;
    response.on("close", () => this.running--);
    await this.generate(response, isScaleOut, body, sampling as unknown as Sampling);
  }

  private refusal(body: Record<string, unknown>, sampling: Sampling, model: string) {
    const { mailbox, speculates = !!mailbox, language } = this.options;
    if (body.model !== model) return { status: 404, message: `The model ${body.model} does not exist.` };
    const tokens = promptOf(body);
    if (tokens.length + sampling.max_tokens > language.contextTokens) {
      return { status: 400, message: "This model's maximum context length is exceeded." };
    }
    const cuts = sampling.min_p > 1e-5 && sampling.temperature > 0;
    if (speculates && (cuts || sampling.logit_bias)) {
      return {
        status: 400,
        message: "min_p and logit_bias are not yet supported with speculative decoding.",
      };
    }
    const { structured_outputs: structured } = sampling;
    if (structured && Object.values(structured).includes("bad")) {
      return { status: 400, message: "Grammar error: no rule root" };
    }
    return null;
  }

  private async generate(
    response: ServerResponse,
    isScaleOut: boolean,
    body: Record<string, unknown>,
    sampling: Sampling,
  ): Promise<void> {
    const { mailbox = null, stepMs = 1 } = this.options;
    const { faults } = this;
    const tokens = [...promptOf(body)];
    const requestId = isScaleOut ? `generate-tokens-${body.request_id}` : `cmpl-${body.request_id}-0`;
    const end = tokens.length + Math.min(sampling.max_tokens, faults.mostTokens ?? sampling.max_tokens);
    let finish: string | null = null;
    let held: Step[] = [];
    if (body.stream) response.writeHead(200, { "content-type": "text/event-stream" });
    if (faults.firstEvent !== undefined) response.write(faults.firstEvent);
    for (let steps = 1; finish === null && !response.destroyed; steps++) {
      await new Promise((resolve) => setTimeout(resolve, stepMs));
      if (steps === (faults.cutAfter ?? 0) + 1 && faults.cutAfter !== undefined)
        return void response.destroy();
      const drafts = mailbox?.drafts(tokens, requestId) ?? [];
      const step: Step = [];
      for (let checked = 0; finish === null; checked++) {
        const drawn = this.sample(tokens, sampling);
        tokens.push(drawn.token);
        step.push(drawn);
        if (sampling.stop_token_ids.includes(drawn.token)) finish = "stop";
        else if (tokens.length >= end) finish = "length";
        if (drafts[checked] !== drawn.token) break;
      }
      if (steps === faults.abortAfter) finish = "abort";
      held.push(step);
      if (finish === null && held.length < (faults.merged ?? 1)) continue;
      const chunk = this.chunk(isScaleOut, held.flat(), sampling, finish);
      held = [];
      if (!body.stream) return json(response, 200, chunk);
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    response.end("data: [DONE]\n\n");
  }

  private chunk(isScaleOut: boolean, drawn: Step, { logprobs }: Sampling, finish: string | null) {
    const { tellsIds = true } = this.options;
    const token_ids = drawn.map(({ token }) => token);
    const shared = { index: 0, finish_reason: finish, ...(isScaleOut || tellsIds ? { token_ids } : {}) };
    const wanted = logprobs ?? null;
    if (wanted === null) return { choices: [isScaleOut ? shared : { ...shared, text: "x" }] };
    const told = isScaleOut ? scaleOutLogprobs(drawn, wanted) : completionLogprobs(drawn, wanted);
    return { choices: [{ ...shared, logprobs: told, ...(isScaleOut ? {} : { text: "x" }) }] };
  }

  /** vLLM's order: bias, repetition penalty, temperature, min-p, top-k, top-p. */
  private sample(tokens: readonly number[], sampling: Sampling): Drawn {
    const { language, random } = this.options;
    const raw = toyLogits(language, Int32Array.from(tokens), "target");
    const logits = Float64Array.from(raw);
    for (const [token, bias] of Object.entries(sampling.logit_bias ?? {})) logits[Number(token)]! += bias;
    for (const token of new Set(tokens)) {
      const logit = logits[token]!;
      logits[token] = logit > 0 ? logit / sampling.repetition_penalty : logit * sampling.repetition_penalty;
    }
    const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
    const { temperature, min_p, top_k, top_p } = sampling;
    if (temperature === 0) return { token: order[0]!, raw };
    const weight = (id: number) => Math.exp((logits[id]! - logits[order[0]!]!) / temperature);
    let kept = order.filter((id) => weight(id) >= min_p);
    if (top_k > 0) kept = kept.slice(0, top_k);
    const total = kept.reduce((sum, id) => sum + weight(id), 0);
    let mass = 0;
    kept = kept.filter((id) => {
      const isIn = mass < top_p * total;
      mass += weight(id);
      return isIn;
    });
    let left = random() * kept.reduce((sum, id) => sum + weight(id), 0);
    for (const id of kept) {
      left -= weight(id);
      if (left <= 0) return { token: id, raw };
    }
    return { token: kept.at(-1)!, raw };
  }
}

interface Drawn {
  readonly token: number;
  /** logits */
  readonly raw: Float32Array;
}

type Step = Drawn[];

/** The sampled token first, then the others by rank. */
function told({ token, raw }: Drawn): { token: number; logprob: number }[] {
  const total = Math.log(raw.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const ids = [...raw.keys()].sort((a, b) => raw[b]! - raw[a]!);
  return [token, ...ids.filter((id) => id !== token)].map((id) => ({ token: id, logprob: raw[id]! - total }));
}

/** It cuts the list that the engine gives, of one token more than was asked for where the sampled one is not among them. */
function scaleOutLogprobs(drawn: Step, wanted: number) {
  const content = drawn.map((one) => {
    const list = told(one).slice(0, Math.max(wanted, 1));
    const top_logprobs = list.map(({ token, logprob }) => ({ token_id: token, logprob }));
    return { ...top_logprobs[0]!, top_logprobs };
  });
  return { content };
}

function completionLogprobs(drawn: Step, wanted: number) {
  const lists = drawn.map((one) => told(one).slice(0, wanted + 1));
  const named = (list: ReturnType<typeof told>) =>
    Object.fromEntries(list.map(({ token, logprob }) => [`token_id:${token}`, logprob]));
  return { token_logprobs: lists.map((list) => list[0]!.logprob), top_logprobs: lists.map(named) };
}

function promptOf(body: Record<string, unknown>): readonly number[] {
  return (body.token_ids ?? body.prompt) as number[];
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
