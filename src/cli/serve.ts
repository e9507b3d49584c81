import { Command, Option } from "commander";
import type { DrafterKind } from "../device/drafter.ts";
import type { DeviceEdge } from "../device/edge.ts";
import { closeEdges, createEdges } from "../device/edges.ts";
import { serveEndpoint } from "../device/endpoint.ts";
import { addLinkOptions, checkLink, type LinkValues, offlineOption, several } from "./ask.ts";
import { type ConfiguredModel, configOption } from "./config.ts";
import { credentialsOf } from "./credentials.ts";
import { catchFaults, faultCounter } from "./last-resort.ts";
import { downloadProgress } from "./model-path.ts";
import { serveUntilStopped } from "./node.ts";
import { whole } from "./options.ts";
import { progressBar } from "./output.ts";
import { printable } from "./text.ts";

interface EdgeValues extends LinkValues {
  /** out of a configuration */
  readonly models?: readonly ConfiguredModel[];
  /** what clients call the model, out of a configuration */
  readonly name?: string;
  readonly port: number;
  readonly host: string;
  readonly allowHost: readonly string[];
  readonly allowOrigin: readonly string[];
  readonly apiKey?: string;
  readonly concurrent: number;
  readonly waiting: number;
}

export function edgeCommand(): Command {
  return addLinkOptions(
    new Command("edge").description("an endpoint on this device that every OpenAI client can use"),
  )
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
        "web pages that may ask, such as http://localhost:3000, or *; can be repeated",
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
    .addOption(offlineOption("wait"))
    .addOption(configOption())
    .addHelpText(
      "after",
      `
Endpoints: /v1/chat/completions, /v1/completions, /v1/models, /health, /metrics. A request may name its own policy,
and top_k, min_p and repetition_penalty, besides what OpenAI's API has. It starts also while the cloud is away, and
connects when it comes; /health says how it is. Clouds with the same model are replicas: answers go on at another where
one goes away. Clouds with other models are listed in /v1/models, and requests name them.

Examples:
  $ picospec edge --cloud wss://cloud.example --model drafter.gguf
  $ picospec edge --cloud ws://127.0.0.1:4747 --model hf:owner/repo:Q8_0 --port 9000 --policy picospec
  $ picospec edge --cloud ws://10.0.0.1:4747 --cloud ws://10.0.0.2:4747 --model drafter.gguf --offline edge
  $ picospec edge --model drafter.gguf --policy edge      (the small model alone, offline)
  $ curl http://127.0.0.1:8080/v1/chat/completions -d '{"messages":[{"role":"user","content":"Hello!"}]}'`,
    )
    .action(serve);
}

async function serve(values: EdgeValues): Promise<void> {
  const { port, host, concurrent, waiting, apiKey, allowHost, allowOrigin } = values;
  const failed = faultCounter({
    say: (line) => console.error(line),
    nowMs: () => performance.now(),
    end: () => process.exit(1),
  });
  const edges = await openModels(values, failed);
  const release = catchFaults(failed);
  try {
    const server = await serveEndpoint(edges, {
      port,
      host,
      concurrent,
      waiting,
      hosts: allowHost,
      origins: allowOrigin,
      log: (line) => console.log(printable(line)),
      failed,
      ...(apiKey === undefined ? {} : { apiKey }),
    });
    const announce = () => {
      for (const edge of edges) {
        const name = edge.model === null ? "a model that is not known yet" : edge.modelName;
        console.log(`${printable(name)}, policy ${values.policy.name}`);
      }
      console.log(`listening on ${server.url}/v1`);
      // A parent that started this process hears the port, and takes it along when it ends.
      process.send?.({ port: server.port });
    };
    await serveUntilStopped(announce, () => server.close());
  } finally {
    await closeEdges(edges);
    release();
  }
}

/** Of a configuration with a list of targets, each of them with its own clouds. */
async function openModels(values: EdgeValues, failed: (error: unknown) => void): Promise<DeviceEdge[]> {
  const { models } = values;
  if (!models) return openEdges(values, failed);
  const edges: DeviceEdge[] = [];
  try {
    for (const { cloud, drafter, ...one } of models) {
      const clouds = typeof cloud === "string" ? [cloud] : cloud;
      const own = drafter === undefined ? {} : { drafter: drafter as DrafterKind };
      const given = Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined));
      edges.push(...(await openEdges({ ...values, ...given, ...own, cloud: clouds }, failed)));
    }
    return edges;
  } catch (error) {
    await closeEdges(edges);
    throw error;
  }
}

async function openEdges(values: EdgeValues, failed: (error: unknown) => void): Promise<DeviceEdge[]> {
  checkLink(values);
  const { key, ca } = credentialsOf(values, values.cloud ?? []);
  const { cloud = [], model, policy, drafter, threads, gpu, reconnect, offline } = values;
  const loading = progressBar(`loading ${model ?? "the tokenizer"}`);
  const downloading = downloadProgress();
  return createEdges({
    clouds: cloud,
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(offline === undefined ? {} : { offline }),
    ...(key === undefined ? {} : { cloudKey: key }),
    ...(ca === undefined ? {} : { cloudCa: ca }),
    ...(model === undefined ? {} : { model }),
    policy: policy.policy,
    drafter,
    threads,
    gpu,
    reconnectMs: reconnect * 1000,
    failed,
    log: (line) => console.error(printable(line)),
    loading(fraction) {
      downloading.end();
      loading.update(fraction);
      if (fraction === 1) loading.end();
    },
    downloading: downloading.show,
  }).finally(() => {
    loading.end();
    downloading.end();
  });
}
