import { Command, Option } from "commander";
import { pings, transfers } from "../../lab/bench/probe.ts";
import { judgePair, type PairVerdict } from "../decoding/vocabulary-pair.ts";
import { summaryOf } from "../device/cloud-vocabulary.ts";
import { outcomeOf } from "../device/isolation/outcome.ts";
import type { RemoteOpener } from "../edge/opener.ts";
import { judgeFiles } from "../engine/llama/details.ts";
import type { ModelFile } from "../engine/llama/gguf.ts";
import { readVocabularyTable } from "../engine/llama/vocabulary-table.ts";
import type { ConnectSettings } from "../transport/node/connect.ts";
import { addCredentialOptions, type CredentialValues, credentialsOf } from "./credentials.ts";
import { bounded, type Check, checkText, verdict } from "./doctor/check.ts";
import {
  addressCheck,
  bandwidthCheck,
  protocolCheck,
  reachCheck,
  roundTripCheck,
  targetCheck,
  tokenizerCheck,
} from "./doctor/cloud.ts";
import { greet, reachOf } from "./doctor/cloud-facts.ts";
import { cpuFacts, libraryFacts, memoryFacts, modelFacts, timerFacts } from "./doctor/facts.ts";
import { gpuCheck, type LibraryFacts, libraryCheck } from "./doctor/library.ts";
import { clockCheck, cpuCheck, memoryCheck, nodeCheck } from "./doctor/machine.ts";
import { bundledCheck, modelCheck, pairCheck } from "./doctor/models.ts";
import { Exit } from "./exit.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import { colours } from "./output.ts";

interface DoctorValues extends CredentialValues {
  readonly cloud?: string;
  readonly model?: readonly string[];
  readonly json?: true;
}

/** Most that a check may take: of the machine, of what has to load, of what has to answer over a network. */
const MACHINE_MS = 10_000;
const LOAD_MS = 60_000;
const NETWORK_MS = 30_000;

export function doctorCommand(): Command {
  const command = new Command("doctor")
    .description("checks this machine, models and a cloud, and says what is wrong and what to do about it")
    .addOption(new Option("--cloud <url>", "check this cloud as well, and the way to it"));
  return addCredentialOptions(command)
    .addOption(
      new Option(
        "--model <file>",
        "check this GGUF file as well; give two to see whether they can be a pair",
      ).argParser((file: string, before: readonly string[] | undefined) => [...(before ?? []), file]),
    )
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addHelpText(
      "after",
      `
The exit status is 0 where there is no problem, warnings or not, and 1 otherwise.

Examples:
  $ picospec doctor
  $ picospec doctor --model target.gguf --model drafter.gguf      (can the one draft for the other?)
  $ picospec doctor --cloud ws://127.0.0.1:4747 --model drafter.gguf --json`,
    )
    .action(doctor);
}

async function doctor({ cloud, model = [], json, ...given }: DoctorValues): Promise<void> {
  const credentials = credentialsOf(given, cloud === undefined ? [] : [cloud]);
  const checks: Check[] = [];
  const pen = colours(process.stdout);
  for await (const check of allChecks(cloud, credentials, model)) {
    checks.push(check);
    if (!json) console.log(checkText(check, pen));
  }
  const healthy = checks.every(({ status }) => status !== "problem");
  if (json) console.log(JSON.stringify({ ok: healthy, checks }, null, 2));
  else console.log(`\n${verdict(checks)}`);
  if (!healthy) throw new Exit(1);
}

/** One after the other, so that none disturbs the times of another. */
async function* allChecks(
  cloud: string | undefined,
  credentials: ConnectSettings,
  models: readonly string[],
): AsyncGenerator<Check> {
  yield* machineChecks();
  yield* libraryChecks();
  yield await bounded("bundled pair", LOAD_MS, async (signal) => {
    const target = await modelFacts(BUNDLED_TARGET, signal);
    return bundledCheck(target, await modelFacts(BUNDLED_DRAFTER, signal));
  });
  const files: ModelFile[] = [];
  yield* modelChecks(models, files);
  if (cloud !== undefined) yield* cloudChecks(cloud, credentials, files);
}

async function* machineChecks(): AsyncGenerator<Check> {
  yield nodeCheck(process.versions.node);
  yield await bounded("cpu", MACHINE_MS, async (signal) => cpuCheck(await cpuFacts(signal)));
  yield await bounded("memory", MACHINE_MS, () => memoryCheck(memoryFacts()));
  yield await bounded("clock", MACHINE_MS, async () => clockCheck(await timerFacts()));
}

async function* libraryChecks(): AsyncGenerator<Check> {
  const found: { library?: LibraryFacts } = {};
  yield await bounded("llama.cpp", LOAD_MS, async (signal) => {
    found.library = await libraryFacts(signal);
    return libraryCheck(found.library);
  });
  if (found.library) yield gpuCheck(found.library);
}

/** @param files those that could be read are added, in the order of the paths */
async function* modelChecks(paths: readonly string[], files: ModelFile[]): AsyncGenerator<Check> {
  for (const path of paths) {
    yield await bounded("model", LOAD_MS, async (signal) => {
      const facts = await modelFacts(path, signal);
      if (facts.ok) files.push(facts.value.file);
      return modelCheck(path, facts, memoryFacts());
    });
  }
  const [first, ...others] = files;
  for (const other of others) {
    yield await bounded("pair", LOAD_MS, async () =>
      pairCheck(first!, other, await judgeFiles(other, first!)),
    );
  }
}

/** null: the cloud is of release 0.1, and only its fingerprint is known, which is another */
async function judgedBy(client: RemoteOpener, file: ModelFile): Promise<PairVerdict | null> {
  const { vocabulary, fingerprint } = client.target;
  if (vocabulary) return judgePair(await readVocabularyTable(file.path), summaryOf(client, vocabulary));
  return file.fingerprint === fingerprint ? { problem: null, barred: new Int32Array(0) } : null;
}

/** What cannot be looked at, because what comes before it is a problem, is not shown. */
async function* cloudChecks(
  address: string,
  credentials: ConnectSettings,
  files: readonly ModelFile[],
): AsyncGenerator<Check> {
  const form = addressCheck(address);
  yield form;
  if (form.status === "problem") return;
  const reach = await bounded("cloud reach", NETWORK_MS, async () =>
    reachCheck(await reachOf(address, credentials)),
  );
  yield reach;
  if (reach.status === "problem") return;
  const link: { client?: RemoteOpener } = {};
  try {
    yield await bounded("cloud protocol", NETWORK_MS, async () => {
      const answer = await outcomeOf(async () => {
        link.client = await greet(address, credentials);
        return link.client.target;
      });
      return protocolCheck(answer);
    });
    if (link.client) yield* linkChecks(link.client, files);
  } finally {
    link.client?.close();
  }
}

async function* linkChecks(client: RemoteOpener, files: readonly ModelFile[]): AsyncGenerator<Check> {
  yield targetCheck(client.target);
  for (const file of files) {
    yield await bounded("cloud tokenizer", NETWORK_MS, async () =>
      tokenizerCheck(client.target, file, await judgedBy(client, file)),
    );
  }
  yield await bounded("cloud round trip", NETWORK_MS, async () => {
    return roundTripCheck(await outcomeOf(() => pings(client)));
  });
  yield await bounded("cloud bandwidth", NETWORK_MS, async () => {
    return bandwidthCheck(await outcomeOf(() => transfers(client)));
  });
}
