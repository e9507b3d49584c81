import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { vocabularyFile } from "../../src/engine/llama/vocabulary.ts";
import { DRAFTER } from "../support/processes.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";
import { damagedModel, damagedTokenizer } from "./damage.ts";

/** Damaged files, opened by many ways one after the other in one process: what becomes of that process. */

const HOST = resolve("test/files/host.mjs");

export type Way = "edge" | "cloud" | "tokenizer";

/** What became of one file. */
export interface Fate {
  readonly number: number;
  readonly way: Way;
  /** what was done to the file */
  readonly damage: string;
  /** what the doctor says of a model */
  readonly doctor: { readonly status: string; readonly detail: string } | null;
  /** code of an error, `some tokens` of an answer; `died` and `hung`: of the process */
  readonly end: string;
  /** an error has a code, or there was none */
  readonly typed: boolean;
  readonly message: string;
}

export interface AttackOptions {
  readonly seeds: readonly number[];
  readonly ways: readonly Way[];
  /** false: the control, in which files are opened without a look */
  readonly checked: boolean;
  /** one file may keep a process for so long, ms */
  readonly hungMs: number;
  /** processes at a time */
  readonly hosts: number;
  readonly progress?: (done: number, of: number) => void;
}

interface Job {
  readonly number: number;
  readonly way: Way;
  readonly file: string;
  readonly damage: string;
}

/** Deaths and hangs are fates of a file; the next one gets a process anew. */
export async function attackFiles(options: AttackOptions): Promise<Fate[]> {
  const folder = mkdtempSync(join(tmpdir(), "picospec-files-"));
  try {
    const jobs = await writeFiles(folder, options);
    const fates: Fate[] = [];
    let next = 0;
    const work = async () => {
      let host: Host | null = null;
      while (next < jobs.length) {
        const job = jobs[next++]!;
        if (!host || host.gone) host = new Host(folder, options);
        fates.push(await host.open(job));
        options.progress?.(fates.length, jobs.length);
      }
      host?.close();
    };
    await Promise.all(Array.from({ length: options.hosts }, work));
    return fates.sort((a, b) => a.number - b.number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of the bundled drafter, and of a model with the other kind of tokenizer. */
async function writeFiles(folder: string, { seeds, ways }: AttackOptions): Promise<Job[]> {
  const other = join(folder, "other.gguf");
  writeRandomGguf(other, { kind: "spm", vocabularySize: 1200, layers: 1, seed: 1 });
  const models = [DRAFTER, other].map((path) => readFileSync(path));
  const tokenizers = await Promise.all([DRAFTER, other].map((path) => vocabularyFile(path)));
  return seeds.flatMap((number) =>
    ways.map((way): Job => {
      const { name, bytes } =
        way === "tokenizer"
          ? damagedTokenizer(tokenizers[number % 2]!, number)
          : damagedModel(models[number % 4 === 3 ? 1 : 0]!, number);
      const file = join(folder, `${way === "tokenizer" ? way : "model"}-${number}.gguf`);
      // One file for both ways that a model has: the check of the second is then a remembered one.
      if (!existsSync(file)) writeFileSync(file, bytes);
      return { number, way, file, damage: name };
    }),
  );
}

class Host {
  gone = false;
  private readonly process: ChildProcess;
  private readonly hungMs: number;
  private said = "";

  constructor(folder: string, { checked, hungMs }: AttackOptions) {
    this.hungMs = hungMs;
    this.process = spawn(process.execPath, [HOST, checked ? "checked" : "unchecked"], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, PICOSPEC_CACHE: join(folder, "cache"), GGML_NO_BACKTRACE: "1" },
    });
    this.process.stderr?.on("data", (chunk: Buffer) => {
      this.said = (this.said + chunk.toString("latin1")).slice(-2000);
    });
    this.process.once("close", () => {
      this.gone = true;
    });
  }

  open({ number, way, file, damage }: Job): Promise<Fate> {
    const { process } = this;
    return new Promise((done) => {
      const finish = (fate: Omit<Fate, "number" | "way" | "damage">) => {
        clearTimeout(timer);
        process.removeAllListeners("message");
        process.removeListener("close", died);
        done({ number, way, damage, ...fate });
      };
      const end = (end: string) => finish({ doctor: null, end, typed: false, message: this.said });
      const died = () => end("died");
      const timer = setTimeout(() => {
        end("hung");
        this.close();
      }, this.hungMs);
      process.once("close", died);
      process.once("message", ({ doctor, end, typed, message }: Fate) =>
        finish({ doctor, end, typed, message }),
      );
      process.send({ number, way, file });
    });
  }

  close(): void {
    this.gone = true;
    this.process.kill("SIGKILL");
  }
}

/** Fates by what they were. */
export function counted(fates: readonly Fate[], what: (fate: Fate) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const fate of fates) counts[what(fate)] = (counts[what(fate)] ?? 0) + 1;
  return counts;
}

const MODELS = 400;
const TOKENIZERS = 393;
const seedsTo = (count: number) => Array.from({ length: count }, (_, seed) => seed);

/** For `npm run attack:files`. @returns the exit status */
export async function printAttack(args: readonly string[]): Promise<number> {
  const progress = (done: number, of: number) => {
    if (done % 50 === 0 || done === of) console.error(`${done} of ${of}`);
  };
  const common = { hosts: 2, progress };
  const parts: [string, AttackOptions][] = [
    [
      "models",
      { ...common, seeds: seedsTo(MODELS), ways: ["edge", "cloud"], checked: true, hungMs: 300_000 },
    ],
    [
      "tokenizers",
      { ...common, seeds: seedsTo(TOKENIZERS), ways: ["tokenizer"], checked: true, hungMs: 200_000 },
    ],
    [
      "models, unchecked",
      { ...common, seeds: seedsTo(MODELS), ways: ["edge"], checked: false, hungMs: 15_000 },
    ],
    [
      "tokenizers, unchecked",
      { ...common, seeds: seedsTo(TOKENIZERS), ways: ["tokenizer"], checked: false, hungMs: 15_000 },
    ],
  ];
  let bad = 0;
  for (const [name, options] of parts) {
    const fates = await attackFiles(options);
    const lost = fates.filter(({ typed }) => !typed);
    if (options.checked) bad += lost.length;
    console.log(`${name}: ${fates.length} attempts of ${options.seeds.length} files`);
    console.log(`  ${JSON.stringify(counted(fates, ({ way, end }) => `${way}: ${end}`))}`);
    const told = fates.filter(({ doctor }) => doctor !== null);
    if (told.length > 0) {
      const said = (fate: Fate) =>
        `doctor ${fate.doctor?.status}, then ${fate.end === "some tokens" ? "an answer" : "an error"}`;
      console.log(`  ${JSON.stringify(counted(told, said))}`);
    }
    for (const { number, way, damage, doctor, end, message } of fates) {
      if (args.includes("--verbose"))
        console.log(
          `  ${way} ${number} ${end} | ${damage} | ${doctor?.detail ?? ""} | ${message.split("\n")[0]}`,
        );
    }
    for (const { way, damage, end, message } of options.checked ? lost : []) {
      console.log(`  ${way} ${end}: ${damage}\n${message}`);
    }
  }
  console.log(bad === 0 ? "no file ended a process that checks" : `${bad} files were no typed error`);
  return bad === 0 ? 0 : 1;
}
