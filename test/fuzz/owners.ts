import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** Rooms whose classes own state of sessions. */
const ROOMS = ["src/edge", "src/cloud"];

/** Names of all exported classes that check themselves. @param root the folder that has src */
export function owners(root: string): string[] {
  return ROOMS.flatMap((room) => readdirSync(join(root, room), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /(?<!\.test)\.ts$/.test(entry.name))
    .flatMap((entry) => ownersIn(readFileSync(join(entry.parentPath, entry.name), "utf8")))
    .sort();
}

/** Of one file. */
export function ownersIn(text: string): string[] {
  const { statements } = ts.createSourceFile("x.ts", text, ts.ScriptTarget.ES2022, true);
  return statements
    .filter((statement) => ts.isClassDeclaration(statement))
    .filter((one) => one.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword))
    .filter((one) => one.members.some((member) => member.name?.getText() === "checkIntegrity"))
    .map((one) => one.name!.text);
}

/** What is wrong with a list of owners: each that it lacks, and each that there is not. */
export function listProblems(listed: readonly string[], owned: readonly string[]): string[] {
  return [
    ...owned.filter((name) => !listed.includes(name)).map((name) => `${name} has no planted leak: add one`),
    ...listed.filter((name) => !owned.includes(name)).map((name) => `${name} is no owner: remove its leak`),
  ];
}
