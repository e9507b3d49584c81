import { execFile, spawn } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { type DockerStage, dockerArgument, dockerStages } from "./deployment.ts";

/**
 * As much of `docker build` as a Dockerfile of ours needs, without containers: a stage is a folder, and its commands are
 * run in it by this machine's Node. A base image's own files are not there.
 */

export interface RunningImage {
  /** on stdout, until it was ready */
  readonly said: string;
  /** exit status */
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

/** Words of the image's commands by what stands for them here: ports, and files that would be mounted. */
export type Changes = Readonly<Record<string, string>>;

export interface BuiltImage {
  /** the last stage's folder */
  readonly root: string;
  /** images that the stages begin with */
  readonly bases: readonly string[];
  readonly user: string;
  readonly stopSignal: NodeJS.Signals;
  /** Runs ENTRYPOINT with CMD, until it listens. */
  start(changes: Changes): Promise<RunningImage>;
  /** Runs HEALTHCHECK. @returns exit status */
  health(changes: Changes): Promise<number | null>;
}

/** Whether a .dockerignore keeps a path out of the context: the last pattern that fits it, or a folder above it, says. */
export function ignores(text: string): (path: string) => boolean {
  const patterns = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return (path) => {
    const parts = path.split("/");
    const paths = parts.map((_, i) => parts.slice(0, i + 1).join("/"));
    let ignored = false;
    for (const pattern of patterns) {
      const kept = pattern.startsWith("!");
      const glob = (kept ? pattern.slice(1) : pattern)
        .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
        .replaceAll(/\*\*\/|\*/g, (star) => (star === "*" ? "[^/]*" : "(?:.*/)?"));
      if (paths.some((one) => new RegExp(`^${glob}$`).test(one))) ignored = !kept;
    }
    return ignored;
  };
}

interface Stage {
  readonly name: string;
  readonly root: string;
  readonly environment: Record<string, string>;
  folder: string;
}

/** @throws Error with the output of a command that fails */
export async function buildImage(dockerfile: string, folder: string): Promise<BuiltImage> {
  const ignored = ignores(readFileSync(`${dockerfile}.dockerignore`, "utf8"));
  const built = new Map<string, Stage>();
  const stages = dockerStages(dockerfile);
  const bases: string[] = [];
  for (const [index, instructions] of stages.entries()) {
    const [, base, name = String(index)] = /^(\S+)(?: AS (\S+))?$/.exec(instructions[0]!.argument)!;
    bases.push(base!);
    const stage: Stage = { name, root: join(folder, name), environment: {}, folder: "/" };
    mkdirSync(stage.root, { recursive: true });
    built.set(name, stage);
    await runStage(stage, instructions, built, ignored);
  }
  return imageOf([...built.values()].at(-1)!, stages.at(-1)!, bases);
}

async function runStage(
  stage: Stage,
  instructions: DockerStage,
  built: ReadonlyMap<string, Stage>,
  ignored: (path: string) => boolean,
): Promise<void> {
  for (const { name, argument } of instructions) {
    switch (name) {
      case "WORKDIR":
        stage.folder = argument;
        mkdirSync(join(stage.root, argument), { recursive: true });
        break;
      case "ENV": {
        const [key, value] = argument.split("=");
        stage.environment[key!] = value!;
        break;
      }
      case "COPY":
        copy(stage, argument, built, ignored);
        break;
      case "RUN":
        await promisify(execFile)("sh", ["-c", argument], {
          cwd: join(stage.root, stage.folder),
          // What was fetched once need not be fetched again: a test says nothing of the registry.
          env: { ...process.env, npm_config_prefer_offline: "true", ...stage.environment },
          maxBuffer: 16 * 2 ** 20,
        });
        break;
      case "FROM":
      case "USER":
      case "EXPOSE":
      case "STOPSIGNAL":
      case "HEALTHCHECK":
      case "ENTRYPOINT":
      case "CMD":
        break;
      default:
        throw new Error(`this test knows no ${name}: add it`);
    }
  }
}

function copy(
  stage: Stage,
  argument: string,
  built: ReadonlyMap<string, Stage>,
  ignored: (path: string) => boolean,
): void {
  const words = argument.split(/\s+/);
  const from = /^--from=(.*)$/.exec(words[0]!)?.[1];
  const sources = words.slice(from === undefined ? 0 : 1, -1);
  const target = words.at(-1)!;
  const into = join(stage.root, target.startsWith("/") ? "" : stage.folder, target);
  for (const source of sources) {
    const path = from === undefined ? resolve(source) : join(built.get(from)!.root, source);
    const isFolder = statSync(path).isDirectory();
    if (sources.length > 1 && !target.endsWith("/"))
      throw new Error(`COPY ${argument}: the target is no folder`);
    const destination = !isFolder && target.endsWith("/") ? join(into, basename(path)) : into;
    const wanted = (one: string) => from !== undefined || !ignored(relative(process.cwd(), one));
    if (!isFolder && !wanted(path)) throw new Error(`COPY ${source}: it is not in the context`);
    cpSync(path, destination, {
      ...{ recursive: true, verbatimSymlinks: true },
      filter: (one) => one === path || statSync(one).isDirectory() || wanted(one),
    });
  }
}

function imageOf(stage: Stage, instructions: DockerStage, bases: readonly string[]): BuiltImage {
  const cwd = join(stage.root, stage.folder);
  const env = { ...process.env, ...stage.environment };
  const words = (text: string, changes: Changes): string[] =>
    (JSON.parse(text) as string[]).map((word) => {
      const changed = Object.entries(changes).reduce((now, [from, to]) => now.replace(from, to), word);
      return changed.startsWith("/app/") ? join(stage.root, changed) : changed;
    });
  return {
    ...{ root: stage.root, bases },
    user: dockerArgument(instructions, "USER"),
    stopSignal: dockerArgument(instructions, "STOPSIGNAL") as NodeJS.Signals,
    start(changes) {
      const [program, ...args] = ["ENTRYPOINT", "CMD"].flatMap((name) =>
        words(dockerArgument(instructions, name), changes),
      );
      const child = spawn(program!, args, { cwd, env });
      const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
      let [said, failed] = ["", ""];
      child.stderr.on("data", (chunk) => (failed += chunk));
      return new Promise((ready, fail) => {
        child.stdout.on("data", (chunk) => {
          said += chunk;
          if (/listening on ws.*\n/.test(said)) ready({ said, ended, kill: (signal) => child.kill(signal) });
        });
        void ended.then((status) => fail(new Error(`it ended with ${status}: ${failed}`)));
      });
    },
    health(changes) {
      const command = dockerArgument(instructions, "HEALTHCHECK").replace(/^.*?CMD /, "");
      const [program, ...args] = words(command, changes);
      const child = spawn(program!, args, { cwd, env, stdio: "ignore" });
      return new Promise((resolve) => child.once("close", resolve));
    },
  };
}
