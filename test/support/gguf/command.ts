import { parseArgs } from "node:util";
import { ARCHITECTURES } from "./architectures.ts";
import { writeRandomModel } from "./random.ts";

/** `npm run random-model -- lfm2 lfm2.gguf --heads 10 --layers 4`. */
export async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { heads: { type: "string", default: "1" }, layers: { type: "string", default: "1" } },
  });
  const [architecture, path] = positionals;
  if (architecture === undefined || path === undefined) {
    console.error(`an architecture and a file: ${ARCHITECTURES.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const growth = { heads: Number(values.heads), layers: Number(values.layers) };
  writeRandomModel(path, { architecture, growth });
  return 0;
}
