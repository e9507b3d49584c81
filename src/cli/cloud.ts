import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { serveCloud } from "../cloud/server.ts";
import { identityText } from "../decoding/identity.ts";
import { software } from "../device/node.ts";
import { LlamaModel, type LoadOptions } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { vocabularyFile } from "../engine/llama/vocabulary.ts";
import { pacedTarget } from "../engine/paced.ts";
import { XGrammars } from "../grammar/xgrammar/grammars.ts";
import { systemClock } from "../transport/node/clock.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { stopSignal } from "./node.ts";
import { type GpuValue, gpuOption, type NamedPace, number, paceOption, whole } from "./options.ts";
import { progressBar } from "./output.ts";

interface CloudValues extends GpuValue {
  readonly model: string;
  readonly host: string;
  readonly port: number;
  readonly sessions: number;
  readonly sequences: number;
  readonly context?: number;
  readonly threads: number;
  readonly quantum: number;
  readonly idleAfter: number;
  readonly pace: NamedPace | null;
}

export function cloudCommand(): Command {
  return new Command("cloud")
    .description("serve a large model to edges")
    .addOption(new Option("--model <model>", `the target, a GGUF model: ${MODEL}`).makeOptionMandatory())
    .addOption(new Option("--port <number>", "0: any free one").argParser(whole(0, 65_535)).default(4747))
    .addOption(new Option("--host <address>", "whom to listen to").default("127.0.0.1"))
    .addOption(new Option("--sessions <n>", "most open sessions").argParser(whole(1, 100_000)).default(64))
    .addOption(
      new Option("--sequences <n>", "sessions whose KV is kept at a time").argParser(whole(1, 64)).default(8),
    )
    .addOption(
      new Option(
        "--context <tokens>",
        "most tokens of a session (default: the model's, 8192 at most)",
      ).argParser(whole(16, 1_048_576)),
    )
    .addOption(
      new Option("--threads <n>", "of the CPU").argParser(whole(1, 512)).default(availableParallelism()),
    )
    .addOption(
      new Option("--quantum <tokens>", "tokens of a session before it makes way for one that waits")
        .argParser(whole(1, 65_536))
        .default(64),
    )
    .addOption(
      new Option("--idle-after <ms>", "an idle session makes way after this long")
        .argParser(number(0))
        .default(1000),
    )
    .addOption(gpuOption())
    .addOption(paceOption("off"))
    .addHelpText(
      "after",
      `
Examples:
  $ picospec cloud --model qwen3-32b-q4_k_m.gguf
  $ picospec cloud --model hf:Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m     (downloaded if it is not there)
  $ picospec cloud --model llama-70b.gguf --sequences 16 --context 8192 --port 9000
  $ picospec cloud --model target.gguf --host 0.0.0.0     (everybody on the network can reach it)`,
    )
    .action(serve);
}

async function serve(values: CloudValues): Promise<void> {
  const { host, port, sessions, sequences, threads, gpu, pace } = values;
  const file = await modelPath(values.model);
  const bar = progressBar(`loading ${file}`);
  const load: LoadOptions = { gpu, progress: bar.update };
  const model = await LlamaModel.load(file, load).finally(bar.end);
  const context = values.context === undefined ? {} : { contextTokens: values.context };
  const plain = await llamaTargetModel(model, { kvSlots: sequences, threads, ...context });
  const target = pace ? pacedTarget(plain, pace.profile, systemClock) : plain;
  const tokenizer = new LlamaTokenizer(model);
  const endTokens = tokenizer.endTokens();
  const { name, fingerprint, chatTemplate } = model.file;
  const server = await serveCloud({
    model: target,
    tokenizer: await vocabularyFile(file),
    grammars: await XGrammars.create(tokenizer, endTokens),
    description: { name, fingerprint, chatTemplate, endTokens },
    host,
    port,
    server: software(),
    limits: { sessions, quantumRows: values.quantum, idleAfterMs: values.idleAfter },
  });
  const { vocabularySize, contextTokens, identity } = target.info;
  console.log(
    `${name}: ${vocabularySize} tokens (${fingerprint}), context ${contextTokens}, ${sequences} sequences, llama.cpp ${model.library.version} (${model.library.build})`,
  );
  if (identity) console.log(identityText(identity));
  if (pace) console.log(`emulated hardware: ${pace.name}`);
  console.log(`listening on ${server.url}`);
  // A parent that started this process hears the port, and takes it along when it ends.
  process.send?.({ port: server.port });
  await stopSignal();
  await server.close();
  target.close();
  model.close();
}
