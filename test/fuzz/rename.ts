import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import ts from "typescript";

/** Whether a test reads what is private shows when its name changes: a copy of the sources with other names. */

export interface Renamed {
  readonly members: number;
  readonly places: number;
}

/**
 * Copies what the search needs, with every private member of a class in src renamed; the tests stay as they are.
 * @param root the repository
 * @param to an empty folder
 * @param suffix appended to each name
 */
export function renamedCopy(root: string, to: string, suffix: string): Renamed {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram([join(root, "test/fuzz/leaks.ts")], options);
  const checker = program.getTypeChecker();
  const members = new Set<ts.Declaration>();
  let places = 0;
  for (const file of program.getSourceFiles()) {
    const path = relative(root, resolve(file.fileName));
    if (path.startsWith("..") || path.includes("node_modules")) continue;
    const edits = path.startsWith("src/") ? editsOf(file, checker, suffix, members) : [];
    places += edits.length;
    mkdirSync(dirname(join(to, path)), { recursive: true });
    writeFileSync(join(to, path), edited(file.text, edits));
  }
  writeFileSync(join(to, "package.json"), JSON.stringify({ type: "module" }));
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"), "junction");
  return { members: members.size, places };
}

interface Edit {
  readonly at: number;
  readonly text: string;
}

function editsOf(
  file: ts.SourceFile,
  checker: ts.TypeChecker,
  suffix: string,
  members: Set<ts.Declaration>,
): Edit[] {
  const edits: Edit[] = [];
  const visit = (node: ts.Node) => {
    ts.forEachChild(node, visit);
    if (!ts.isIdentifier(node)) return;
    const { parent } = node;
    const shorthand = ts.isBindingElement(parent) && parent.name === node && !parent.propertyName;
    const symbol =
      shorthand && ts.isObjectBindingPattern(parent.parent)
        ? checker.getTypeAtLocation(parent.parent).getProperty(node.text)
        : checker.getSymbolAtLocation(node);
    const member = symbol?.declarations?.find(isPrivateMember);
    if (!member) return;
    members.add(member);
    // `{ kv }` of an object becomes `{ kvRenamed: kv }`.
    if (shorthand) edits.push({ at: node.getStart(), text: `${node.text}${suffix}: ` });
    else edits.push({ at: node.end, text: suffix });
  };
  visit(file);
  return edits;
}

function isPrivateMember(declaration: ts.Declaration): boolean {
  const isPrivate = (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) !== 0;
  return isPrivate && ts.isClassLike(declaration.parent);
}

function edited(text: string, edits: readonly Edit[]): string {
  let [result, from] = ["", 0];
  for (const { at, text: inserted } of [...edits].sort((a, b) => a.at - b.at)) {
    result += text.slice(from, at) + inserted;
    from = at;
  }
  return result + text.slice(from);
}
