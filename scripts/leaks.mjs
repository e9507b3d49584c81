// Planted leaks against the fault search: npm run leaks -- --help.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/fuzz/leaks-command.ts", "leaks");
