import { readdirSync, readFileSync } from "node:fs";
import { parseAllDocuments } from "yaml";

/** Reads what is in deploy/: YAML, the Dockerfile, units of systemd. */

/** A file's documents. @throws Error for what is no YAML, with the file's name and the line */
export function yamlDocuments(path: string): unknown[] {
  // Merge keys are of YAML 1.1, and Docker Compose reads them.
  return parseAllDocuments(readFileSync(path, "utf8"), { merge: true, strict: true }).map((document) => {
    const [error] = [...document.errors, ...document.warnings];
    if (error) throw new Error(`${path}: ${error.message}`);
    return document.toJS();
  });
}

/** Paths of a folder's files, also in the folders below it. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map(({ parentPath, name }) => `${parentPath}/${name}`)
    .sort();
}

export interface DockerInstruction {
  readonly name: string;
  /** as in the file, lines that go on joined */
  readonly argument: string;
}

/** A stage of the Dockerfile, with FROM first. */
export type DockerStage = readonly DockerInstruction[];

export function dockerStages(path: string): DockerStage[] {
  const text = readFileSync(path, "utf8").replaceAll(/^\s*#.*\n/gm, "");
  const lines = text.replaceAll(/\\\n\s*/g, "").split("\n");
  const stages: DockerInstruction[][] = [];
  for (const line of lines.filter((line) => line.trim() !== "")) {
    const [, name, argument] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
    if (name === undefined) throw new Error(`${path}: no instruction: ${line}`);
    if (name === "FROM") stages.push([]);
    stages.at(-1)!.push({ name, argument: argument! });
  }
  return stages;
}

/** The argument of an instruction that a stage has once. */
export function dockerArgument(stage: DockerStage, name: string): string {
  const [first, ...more] = stage.filter((instruction) => instruction.name === name);
  if (!first || more.length > 0) throw new Error(`${name} is there ${first ? "several times" : "not once"}`);
  return first.argument;
}

/** A directive's values, by section and name; one that is there several times has several. */
export type Unit = ReadonlyMap<string, readonly string[]>;

/** @returns keys are `Section.Directive` */
export function systemdUnit(path: string): Unit {
  const unit = new Map<string, string[]>();
  let section = "";
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue;
    const header = /^\[(\w+)\]$/.exec(line)?.[1];
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (header !== undefined) section = header;
    else if (name !== undefined) {
      const key = `${section}.${name}`;
      unit.set(key, [...(unit.get(key) ?? []), value!]);
    } else throw new Error(`${path}: no directive: ${line}`);
  }
  return unit;
}

/** Variables of a file for EnvironmentFile=. */
export function environmentFile(path: string): Record<string, string> {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => !/^\s*(?:#.*)?$/.test(line));
  return Object.fromEntries(
    lines.map((line) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`${path}: no variable: ${line}`);
      return [name, value!];
    }),
  );
}

/** What ExecStart= runs: `$NAME` is words, `${NAME}` one word, and %S the folder of states. */
export function execStart(unit: Unit, variables: Readonly<Record<string, string>>): string[] {
  const [line, ...more] = unit.get("Service.ExecStart") ?? [];
  if (line === undefined || more.length > 0) throw new Error("there is one ExecStart=");
  const variable = (name: string) => {
    const value = variables[name];
    if (value === undefined) throw new Error(`no variable ${name}`);
    return value;
  };
  return line.split(/\s+/).flatMap((word) => {
    const words = /^\$(\w+)$/.exec(word)?.[1];
    if (words !== undefined) return variable(words).split(/\s+/).filter(Boolean);
    return [
      word.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => variable(name)).replaceAll("%S", "/var/lib"),
    ];
  });
}
