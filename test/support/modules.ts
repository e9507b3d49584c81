import { join } from "node:path";
import ts from "typescript";

/** What the files of a source tree import from each other, and which of their exports nothing needs. */

export interface Module {
  /** from the repository's root */
  readonly path: string;
  readonly tree: ts.SourceFile;
}

interface Import {
  /** path from the repository's root */
  readonly target: string;
  /** as the target exports them; "all": a namespace, or `export *` */
  readonly names: readonly string[] | "all";
}

/** Specifiers of all imports and re-exports, types included. */
export function specifiers(tree: ts.SourceFile): string[] {
  return statementsWithSource(tree).map(({ source }) => source);
}

/** Imports of other files of the tree. */
export function relativeImports({ path, tree }: Module): Import[] {
  return statementsWithSource(tree)
    .filter(({ source }) => source.startsWith("."))
    .map(({ statement, source }) => ({
      target: builtFrom(join(path, "..", source)),
      names: namesOf(statement),
    }));
}

/** Programs import what is built: dist/lab/index.js is lab/index.ts. */
function builtFrom(path: string): string {
  return path.replace(/^dist\/(.*)\.js$/, "$1.ts");
}

/** File, then the files that it imports. */
export function importGraph(modules: readonly Module[]): Map<string, Set<string>> {
  return new Map(
    modules.map((module) => [module.path, new Set(relativeImports(module).map(({ target }) => target))]),
  );
}

/** Everything that can be reached from a node, itself only where it is in a circle. */
export function reachable(graph: ReadonlyMap<string, Iterable<string>>, from: string): Set<string> {
  const seen = new Set<string>();
  const open = [from];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const next of graph.get(node) ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return seen;
}

/** Each circle of a graph, as the nodes that can reach each other, in alphabetical order. */
export function circles(graph: ReadonlyMap<string, Iterable<string>>): string[] {
  const reach = new Map([...graph.keys()].map((node) => [node, reachable(graph, node)]));
  const groups = [...graph.keys()]
    .filter((node) => reach.get(node)!.has(node))
    .map((node) => [...reach.get(node)!].filter((other) => reach.get(other)?.has(node)).sort());
  return [...new Set(groups.map((group) => group.join(" - ")))];
}

/**
 * Exports that no other of the modules imports, nor a program, as "path: name". A type lives as well when the signature of a live
 * export names it: its users get values of it.
 * @param roots files whose exports are the package's own
 * @param programs that use the modules, and export nothing
 */
export function deadExports(
  modules: readonly Module[],
  roots: readonly string[],
  programs: readonly Module[] = [],
): string[] {
  const used = new Map<string, Set<string> | "all">(roots.map((root) => [root, "all"]));
  for (const { target, names } of [...modules, ...programs].flatMap(relativeImports)) {
    const before = used.get(target) ?? new Set();
    used.set(target, before === "all" || names === "all" ? "all" : new Set([...before, ...names]));
  }
  return modules.flatMap(({ path, tree }) => {
    const names = used.get(path) ?? new Set();
    const exported = exportsOf(tree);
    const imported = [...exported].filter((name) => names === "all" || names.has(name));
    const live = new Set([...imported, ...namedInSignatures(tree, imported)]);
    return [...exported].filter((name) => !live.has(name)).map((name) => `${path}: ${name}`);
  });
}

type WithSource = ts.ImportDeclaration | ts.ExportDeclaration;

function statementsWithSource(tree: ts.SourceFile): { statement: WithSource; source: string }[] {
  const found: { statement: WithSource; source: string }[] = [];
  for (const statement of tree.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const source = statement.moduleSpecifier;
    if (source && ts.isStringLiteral(source)) found.push({ statement, source: source.text });
  }
  return found;
}

function namesOf(statement: WithSource): readonly string[] | "all" {
  if (ts.isImportDeclaration(statement) && !statement.importClause) return [];
  const names = ts.isImportDeclaration(statement)
    ? statement.importClause?.namedBindings
    : statement.exportClause;
  if (!names || (!ts.isNamedImports(names) && !ts.isNamedExports(names))) return "all";
  return names.elements.map(({ propertyName, name }) => (propertyName ?? name).text);
}

type Declaration = ts.VariableDeclaration | ts.DeclarationStatement;

/** Every declaration at the top of a file, by its name. */
function declarations(tree: ts.SourceFile): Map<string, { declaration: Declaration; exported: boolean }> {
  const found = new Map<string, { declaration: Declaration; exported: boolean }>();
  for (const statement of tree.statements) {
    const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
    const exported = modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
    const declared: readonly Declaration[] = ts.isVariableStatement(statement)
      ? statement.declarationList.declarations
      : isNamed(statement)
        ? [statement]
        : [];
    for (const declaration of declared) {
      for (const name of boundNames(declaration.name)) found.set(name, { declaration, exported });
    }
  }
  return found;
}

function isNamed(node: ts.Node): node is ts.DeclarationStatement {
  return (
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isEnumDeclaration(node)
  );
}

function boundNames(name: ts.Node | undefined): string[] {
  if (!name) return [];
  if (ts.isIdentifier(name)) return [name.text];
  if (!ts.isObjectBindingPattern(name) && !ts.isArrayBindingPattern(name)) return [];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundNames(element.name) : []));
}

/** Names that a file exports: declared there, or handed on from another. */
function exportsOf(tree: ts.SourceFile): Set<string> {
  const found = new Set<string>();
  for (const [name, { exported }] of declarations(tree)) {
    if (exported) found.add(name);
  }
  for (const statement of tree.statements) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause) continue;
    if (!ts.isNamedExports(statement.exportClause)) continue;
    for (const { name } of statement.exportClause.elements) found.add(name.text);
  }
  return found;
}

/** Types and classes at the top of the file that the signatures of some of its declarations name, directly or not. */
function namedInSignatures(tree: ts.SourceFile, names: readonly string[]): Set<string> {
  const declared = declarations(tree);
  const found = new Set<string>();
  const open = [...names];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const own = declared.get(name)?.declaration;
    if (!own) continue;
    for (const mentioned of signatureNames(own)) {
      const other = declared.get(mentioned)?.declaration;
      if (!other || found.has(mentioned)) continue;
      if (ts.isVariableDeclaration(other) || ts.isFunctionDeclaration(other)) continue;
      found.add(mentioned);
      open.push(mentioned);
    }
  }
  return found;
}

/** Identifiers of a declaration as its users see it: no private parts, and a body only where it gives the type. */
function signatureNames(declaration: ts.Node): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node | undefined): void => {
    if (!node || isPrivate(node)) return;
    if (ts.isIdentifier(node)) names.add(node.text);
    else if (ts.isFunctionLike(node)) {
      node.typeParameters?.forEach(visit);
      node.parameters.forEach(visit);
      if (node.type) visit(node.type);
      else if ("body" in node && !ts.isConstructorDeclaration(node)) visit(node.body);
    } else if (
      (ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node) || ts.isParameter(node)) &&
      node.type
    ) {
      visit(node.type);
    } else ts.forEachChild(node, visit);
  };
  visit(declaration);
  return names;
}

function isPrivate(node: ts.Node): boolean {
  const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined;
  // A parameter that is a private property is part of the signature all the same.
  return (
    !ts.isParameter(node) && (modifiers?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword) ?? false)
  );
}
