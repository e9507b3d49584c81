import { Command, Option } from "commander";
import type { DeviceEdge } from "../device/edge.ts";
import { closeEdges } from "../device/edges.ts";
import { serveEndpoint } from "../device/endpoint.ts";
import type { EdgeTrace } from "../ops/edge/trace.ts";
import { NO_TEMPLATE } from "../text/chat-template.ts";
import type { Log } from "../util/log.ts";
import { addLinkOptions, offlineOption, several } from "./ask.ts";
import { configOption } from "./config.ts";
import { catchFaults } from "./last-resort.ts";
import { serveUntilStopped } from "./node.ts";
import {
  addLogOptions,
  type LogValues,
  openLog,
  openTrace,
  type TraceValue,
  traceOption,
} from "./operations.ts";
import { whole } from "./options.ts";
import { type ModelsValues, openModels } from "./serve-models.ts";
import { printable, wrapped } from "./text.ts";

export interface EdgeValues extends ModelsValues, LogValues, TraceValue {
  readonly port: number;
  readonly host: string;
  readonly allowHost: readonly string[];
  readonly allowOrigin: readonly string[];
  readonly apiKey?: string;
  readonly concurrent: number;
  readonly waiting: number;
  readonly store?: string;
  readonly storeDays: number;
}

export function edgeCommand(): Command {
  const command = addLinkOptions(
    new Command("edge").description("an endpoint on this device that every OpenAI client can use"),
  );
  addEndpointOptions(command).addOption(offlineOption("wait")).addOption(configOption());
  return addLogOptions(command)
    .addOption(traceOption("draft steps and frames of each answer"))
    .addHelpText(
      "after",
      `
Endpoints: /v1/chat/completions, /v1/completions, /v1/responses, /v1/models, /health, /healthz, /readyz, /metrics; of
Anthropic /v1/messages, /v1/messages/count_tokens; of Ollama /api/chat, /api/generate, /api/tags, /api/show, /api/ps; of
llama-server /tokenize, /detokenize, /apply-template, /props. Ollama's clients find it with --port 11434, or by
OLLAMA_HOST=http://127.0.0.1:8080. A request may name its own policy, and top_k, min_p and repetition_penalty, besides
what OpenAI's API has. It starts also while the cloud is away,
and connects when it comes; /readyz says how it is. Clouds with the same model are replicas: answers go on at another
where one goes away. Clouds with other models are listed in /v1/models, and requests name them.

Examples:
  $ picospec edge --cloud wss://cloud.example --model drafter.gguf
  $ picospec edge --cloud ws://127.0.0.1:4747 --model hf:owner/repo:Q8_0 --port 9000 --policy picospec
  $ picospec edge --cloud ws://10.0.0.1:4747 --cloud ws://10.0.0.2:4747 --model drafter.gguf --offline edge
  $ picospec edge --model drafter.gguf --policy edge      (the small model alone, offline)
  $ curl http://127.0.0.1:8080/v1/chat/completions -d '{"messages":[{"role":"user","content":"Hello!"}]}'`,
    )
    .action((values: EdgeValues) => serveEdge(values));
}

/** Where the endpoint listens, and who may ask. */
export function addEndpointOptions(command: Command): Command {
  return command
    .addOption(new Option("--port <number>", "0: any free one").argParser(whole(0, 65_535)).default(8080))
    .addOption(new Option("--host <address>", "listen address").default("127.0.0.1"))
    .addOption(
      new Option("--allow-host <name>", "a name besides localhost that the endpoint goes by; can be repeated")
        .argParser(several)
        .default([], "none"),
    )
    .addOption(
      new Option(
        "--allow-origin <origin>",
        "web pages that may ask: http://localhost:3000, http://localhost:*, https://*.example.com, or *; can be repeated",
      )
        .argParser(several)
        .default([], "none"),
    )
    .addOption(new Option("--api-key <key>", "clients have to bring it").env("PICOSPEC_API_KEY"))
    .addOption(
      new Option("--concurrent <n>", "answers that are made at a time").argParser(whole(1, 1024)).default(32),
    )
    .addOption(
      new Option("--waiting <n>", "requests that wait for their turn; more are turned away")
        .argParser(whole(0, 100_000))
        .default(256),
    )
    .addOption(
      new Option(
        "--store <folder>",
        "keep responses of /v1/responses on disk (default: in memory, the last 1000)",
      ),
    )
    .addOption(
      new Option("--store-days <n>", "remove stored responses that are older")
        .argParser(whole(1, 36_500))
        .default(30),
    );
}

/** @param broken rejects when what it needs besides has ended. Default: nothing does */
export async function serveEdge(values: EdgeValues, broken?: Promise<never>): Promise<void> {
  const trace = openTrace(values);
  const log = openLog(values);
  const failed = catchFaults(log);
  try {
    const edges = await openModels(values, log, failed);
    try {
      await answerUntilStopped(edges, values, { log, trace: trace?.edge ?? null, failed, broken });
    } finally {
      await closeEdges(edges);
    }
  } finally {
    trace?.close();
    log.flush();
  }
}

interface Watchers {
  readonly log: Log;
  readonly trace: EdgeTrace | null;
  readonly failed: (error: unknown) => void;
  readonly broken: Promise<never> | undefined;
}

async function answerUntilStopped(
  edges: readonly DeviceEdge[],
  values: EdgeValues,
  { log, trace, failed, broken }: Watchers,
): Promise<void> {
  const { port, host, concurrent, waiting, apiKey, allowHost, allowOrigin, store, storeDays } = values;
  const server = await serveEndpoint(edges, {
    port,
    host,
    concurrent,
    waiting,
    hosts: allowHost,
    origins: allowOrigin,
    log,
    failed,
    ...(trace ? { observe: (requestId) => trace.observer(requestId) } : {}),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(store === undefined ? {} : { store: { folder: store, days: storeDays } }),
  });
  const announce = () => {
    for (const edge of edges) {
      const name = edge.model === null ? "a model that is not known yet" : edge.modelName;
      console.log(`${printable(name)}, policy ${values.policy.name}`);
      if (edge.model !== null && edge.chatTemplate === null)
        log.warn({ model: printable(name) }, NO_TEMPLATE);
    }
    const [drafts] = edges.flatMap(({ loaded }) => loaded.compute ?? []);
    if (drafts !== undefined) console.log(wrapped(`drafts with ${drafts}`));
    console.log(`listening on ${server.url}/v1`);
    log.info({ url: server.url, policy: values.policy.name }, "listening");
    // A parent that started this process hears the port, and takes it along when it ends.
    process.send?.({ port: server.port });
  };
  await serveUntilStopped({ announce, close: () => server.close(), ...(broken ? { broken } : {}) });
}
