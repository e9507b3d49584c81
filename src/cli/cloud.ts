import { Command, Option } from "commander";
import { identityText } from "../decoding/identity.ts";
import { CLOUD_DEFAULTS, type CreateCloudOptions, createCloud } from "../device/cloud.ts";
import { TARGET_ENGINES } from "../device/engines.ts";
import { CloudOperations } from "../device/operations.ts";
import { computeOf } from "../engine/llama/compute.ts";
import { SettingError } from "../util/errors.ts";
import { configOption } from "./config.ts";
import { readText } from "./files.ts";
import { catchFaults } from "./last-resort.ts";
import { loadingProgress, MODEL } from "./model-path.ts";
import { serveUntilStopped } from "./node.ts";
import { addLogOptions, type LogValues, openLog, type TraceValue, traceOption } from "./operations.ts";
import {
  addComputeOptions,
  addHardwareOption,
  addRenamedOption,
  type GpuValue,
  type NamedHardware,
  number,
  whole,
} from "./options.ts";
import { wrapped } from "./text.ts";

interface CloudValues extends GpuValue, LogValues, TraceValue {
  readonly engine: string;
  readonly model?: string;
  readonly url: readonly string[];
  readonly mailbox: readonly string[];
  readonly mailboxSecretFile?: string;
  readonly mailboxSecret?: string;
  readonly engineApiKey?: string;
  readonly tokenizer?: string;
  readonly runs: number;
  readonly host: string;
  readonly port: number;
  readonly sessions: number;
  readonly kvSlots?: number;
  readonly context?: number;
  readonly threads?: number;
  readonly quantum?: number;
  readonly idleAfter?: number;
  readonly sharedPrefix?: string;
  readonly drainSeconds: number;
  readonly keys?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly allowOrigin: readonly string[];
  readonly hardware: NamedHardware | null;
  readonly metricsPort?: number;
  readonly metricsHost: string;
}

const EXAMPLES = `
Examples:
  $ picospec cloud --model qwen3-32b-q4_k_m.gguf
  $ picospec cloud --model hf:Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m     (downloaded if it is not there)
  $ picospec cloud --engine vllm --url http://127.0.0.1:8000 --mailbox unix:/run/picospec.sock
  $ picospec cloud --model llama-70b.gguf --kv-slots 16 --context 8192 --port 9000
  $ picospec keys add alice --keys keys.txt
  $ picospec cloud --model target.gguf --host 0.0.0.0 --keys keys.txt --tls-cert fullchain.pem --tls-key privkey.pem`;

export function cloudCommand(): Command {
  const command = new Command("cloud")
    .description("serve a large model to edges")
    .addOption(new Option("--model <model>", `the target, a GGUF model: ${MODEL}; of vllm, its name there`))
    .addOption(
      new Option("--engine <name>", "what runs it")
        .choices(TARGET_ENGINES.names)
        .default(CLOUD_DEFAULTS.engine),
    )
    .addOption(
      new Option("--port <number>", "0: any free one")
        .argParser(whole(0, 65_535))
        .default(CLOUD_DEFAULTS.port),
    )
    .addOption(new Option("--host <address>", "listen address").default(CLOUD_DEFAULTS.host))
    .addOption(
      new Option("--sessions <n>", "most open sessions")
        .argParser(whole(1, 100_000))
        .default(CLOUD_DEFAULTS.sessions),
    );
  const kvSlots = new Option("--kv-slots <n>", "sessions whose KV llama keeps at a time")
    .argParser(whole(1, 64))
    .default(CLOUD_DEFAULTS.kvSlots);
  addRenamedOption(command, kvSlots, "--sequences <n>")
    .addOption(
      new Option(
        "--context <tokens>",
        "most tokens of a session (default: the model's; of llama 8192 at most)",
      ).argParser(whole(16, 1_048_576)),
    )
    .addOption(
      new Option("--threads <n>", "of the CPU, for llama (default: all cores but one)").argParser(
        whole(1, 512),
      ),
    )
    .addOption(
      new Option("--quantum <tokens>", "tokens of a session before it makes way for one that waits")
        .argParser(whole(1, 65_536))
        .default(CLOUD_DEFAULTS.quantumTokens),
    )
    .addOption(
      new Option("--idle-after <ms>", "an idle session makes way after this long")
        .argParser(number(0))
        .default(CLOUD_DEFAULTS.idleAfterMs),
    )
    .addOption(
      new Option(
        "--shared-prefix <file>",
        "how the prompts of several clients begin, as the model reads it: its KV is reused for all of them",
      ),
    )
    .addOption(
      new Option("--drain-seconds <n>", "what open sessions have to end in after SIGTERM or SIGINT")
        .argParser(number(0, 86_400))
        .default(CLOUD_DEFAULTS.drainSeconds),
    );
  addComputeOptions(command);
  addServerOptions(command);
  addTrustOptions(command);
  command.addOption(configOption());
  return addOperationsOptions(addHardwareOption(command, "off"))
    .addHelpText("after", EXAMPLES)
    .action((values: CloudValues, self: Command) => serve(given(values, self)));
}

/** Options of one engine alone: another one has to hear whether they were given. */
const OF_PASSES = ["kvSlots", "quantum", "idleAfter"] as const;

function given(values: CloudValues, command: Command): CloudValues {
  const unset = OF_PASSES.filter((name) => command.getOptionValueSource(name) === "default");
  return { ...values, ...Object.fromEntries(unset.map((name) => [name, undefined])) };
}

/** Of an engine that is a server of its own. */
function addServerOptions(command: Command): void {
  command
    .addOption(listOption("--url <url>", "a vLLM server with the model; can be repeated"))
    .addOption(
      listOption(
        "--mailbox <address>",
        "where its plugin takes drafts, unix:/PATH or HOST:PORT; can be repeated, in the order of --url",
      ),
    )
    .addOption(
      new Option("--mailbox-secret-file <file>", "with the secret that the plugin was started with").env(
        "PICOSPEC_SECRET_FILE",
      ),
    )
    .addOption(new Option("--mailbox-secret <text>", "the same, in place of a file").env("PICOSPEC_SECRET"))
    .addOption(new Option("--engine-api-key <key>", "key of its API").env("PICOSPEC_ENGINE_API_KEY"))
    .addOption(
      new Option(
        "--tokenizer <folder>",
        "with the model's tokenizer.json (default: where vLLM has it, on this machine)",
      ),
    )
    .addOption(
      new Option("--runs <n>", "most requests at a time on one server")
        .argParser(whole(1, 100_000))
        .default(CLOUD_DEFAULTS.runs),
    );
}

function listOption(flags: string, description: string): Option {
  return new Option(flags, description)
    .argParser((value: string, before: readonly string[]) => [...before, value])
    .default([], "none");
}

/** Who may connect, and over what. */
function addTrustOptions(command: Command): void {
  command
    .addOption(
      new Option(
        "--keys <file>",
        "edges have to bring one of these; made with picospec keys, reloaded on change",
      ),
    )
    .addOption(
      new Option("--tls-cert <file>", "certificate chain, PEM: serves wss://; reloaded when it changes"),
    )
    .addOption(new Option("--tls-key <file>", "its key, PEM"))
    .addOption(listOption("--allow-origin <origin>", "web pages that may connect, or *; can be repeated"));
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

function addOperationsOptions(command: Command): Command {
  return addLogOptions(command)
    .addOption(
      new Option(
        "--metrics-port <number>",
        "a port for /healthz, /readyz and /metrics; 0: any free one (default: none)",
      ).argParser(whole(0, 65_535)),
    )
    .addOption(new Option("--metrics-host <address>", "its listen address").default("127.0.0.1"))
    .addOption(traceOption("passes and sessions"));
}

async function serve(values: CloudValues): Promise<void> {
  if (values.keys === undefined && !LOOPBACK.test(values.host)) {
    console.error(
      `warning: everybody who reaches ${values.host} can use this cloud: there are no --keys (picospec keys add)`,
    );
  }
  const log = openLog(values);
  const { metricsPort = null, metricsHost, trace = null } = values;
  const failed = catchFaults(log);
  try {
    const operations = await CloudOperations.open({ metricsPort, metricsHost, trace, log });
    if (operations.url !== null) console.log(`metrics on ${operations.url}/metrics`);
    await serveModel(values, operations, failed).finally(() => operations.close());
  } finally {
    log.flush();
  }
}

async function serveModel(
  values: CloudValues,
  operations: CloudOperations,
  failed: (error: unknown) => void,
): Promise<void> {
  const { loading, downloading, end } = loadingProgress(`loading ${values.model ?? "the model"}`);
  const cloud = await createCloud({
    ...cloudOptions(values),
    operations,
    failed,
    notice: (line) => operations.log.info({}, line),
    loading,
    downloading,
  }).finally(end);
  try {
    const { name, fingerprint, vocabularySize, contextTokens, library, identity, compute } = cloud.served;
    const { kvSlots, runs } = cloud.served;
    const room = runs === undefined ? `${kvSlots} KV slots` : `${runs} requests at a time`;
    console.log(`${name}: ${vocabularySize} tokens (${fingerprint}), context ${contextTokens}`);
    console.log(`${room}, ${values.engine} ${library.version} (${library.build})`);
    console.log(wrapped(`computes with ${compute}`));
    if (identity) console.log(wrapped(identityText(identity)));
    if (values.hardware) console.log(`emulated hardware: ${values.hardware.name}`);
    const announce = () => {
      console.log(`listening on ${cloud.url}`);
      operations.log.info({ url: cloud.url }, "listening");
      // A parent that started this process hears the port, and takes it along when it ends.
      process.send?.({ port: cloud.port });
    };
    const drain = () => {
      const { openSessions } = cloud;
      if (openSessions > 0) {
        console.error(
          `draining: ${openSessions} sessions have ${values.drainSeconds} s to end; another signal stops at once`,
        );
      }
      return cloud.drain(values.drainSeconds * 1000);
    };
    await serveUntilStopped({ announce, close: () => cloud.close(), drain });
  } finally {
    await cloud.close();
  }
}

/** @throws SettingError for one without the other */
function tlsOf({ tlsCert: cert, tlsKey: key }: CloudValues) {
  if (cert === undefined && key === undefined) return {};
  if (cert === undefined || key === undefined) {
    throw new SettingError("tls", "TLS needs both --tls-cert and --tls-key");
  }
  return { tls: { cert, key } };
}

function serverOptions(values: CloudValues) {
  const { url, mailbox, mailboxSecretFile: file, engineApiKey, tokenizer, runs } = values;
  // A file that was named comes before a variable that happens to be set.
  const mailboxSecret = file ? readText(file, "a text file").trim() : values.mailboxSecret;
  return {
    ...{ urls: url, mailboxes: mailbox, runs },
    ...(mailboxSecret === undefined ? {} : { mailboxSecret }),
    ...(engineApiKey === undefined ? {} : { engineApiKey }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
  };
}

function cloudOptions(values: CloudValues): CreateCloudOptions {
  const { engine, model, host, port, sessions, kvSlots, context, threads, gpu } = values;
  const { quantum, idleAfter, hardware } = values;
  return {
    ...serverOptions(values),
    ...(model === undefined ? {} : { model }),
    ...{ engine, host, port, sessions, gpu },
    ...(kvSlots === undefined ? {} : { kvSlots }),
    ...(quantum === undefined ? {} : { quantumTokens: quantum }),
    ...(idleAfter === undefined ? {} : { idleAfterMs: idleAfter }),
    ...(threads === undefined ? {} : { threads }),
    ...(context === undefined ? {} : { contextTokens: context }),
    ...(values.sharedPrefix === undefined
      ? {}
      : { sharedPrefix: readText(values.sharedPrefix, "a text file") }),
    ...(values.keys === undefined ? {} : { keys: values.keys }),
    ...tlsOf(values),
    ...computeOf(values),
    origins: values.allowOrigin,
    hardware: hardware?.profile ?? null,
  };
}
