// The fault search from the command line: npm run fuzz -- --help.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/fuzz/command.ts", "fuzz");
