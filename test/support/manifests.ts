import { createRequire } from "node:module";
import { join } from "node:path";
import ts from "typescript";

/** Manifests of Kubernetes, held against the API's own schemas: values by its JSON Schemas, fields by its declarations. */

// biome-ignore lint/suspicious/noExplicitAny: documents are unknown until their schema says what they are
type Loose = any;

const require = createRequire(import.meta.url);

/** Where the schema of an API's version is. */
function moduleOf(apiVersion: string): string {
  const own = apiVersion.startsWith("monitoring.coreos.com/");
  return `${own ? "@kubernetes-models/prometheus-operator" : "kubernetes-models"}/${apiVersion}`;
}

/** @returns what the JSON Schema says against it; null: nothing */
export function wrongValues(manifest: Loose): string | null {
  const Model = require(moduleOf(manifest.apiVersion))[manifest.kind];
  if (!Model) return `${manifest.apiVersion} has no ${manifest.kind}`;
  try {
    new Model(manifest).validate();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What the compiler says of manifests as literals: fields that there are not, and words that are none of a field's. */
export function wrongFields(manifests: readonly Loose[]): string[] {
  const lines = manifests.map(
    (manifest, i) =>
      `import type { I${manifest.kind} as Kind${i} } from "${moduleOf(manifest.apiVersion)}";\n` +
      `export const manifest${i}: Kind${i} = ${JSON.stringify(manifest)};`,
  );
  const name = join(process.cwd(), "test/deploy/manifests.ts");
  const options: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022 },
    ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const text = lines.join("\n");
  host.fileExists = (path) => path === name || fileExists(path);
  host.readFile = (path) => (path === name ? text : readFile(path));
  host.getSourceFile = (path, ...rest) =>
    path === name ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2022) : getSourceFile(path, ...rest);
  const program = ts.createProgram([name], options, host);
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, " "));
}
