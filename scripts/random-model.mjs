// A GGUF file with random weights: npm run random-model -- lfm2 lfm2.gguf [--heads N] [--layers N], times the smallest.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/support/gguf/command.ts", "main");
