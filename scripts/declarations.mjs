// tsc writes .js for .ts in the imports of programs and not in those of declarations: the last step of the build.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

for (const name of readdirSync("dist", { recursive: true })) {
  if (!name.endsWith(".d.ts")) continue;
  const path = join("dist", name);
  const text = readFileSync(path, "utf8");
  const mended = text.replaceAll(/((?:\bfrom |\bimport\()"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"');
  if (mended !== text) writeFileSync(path, mended);
}
