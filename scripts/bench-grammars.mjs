// What grammars cost on this machine: npm run bench:grammars [-- --model FILE].
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/grammars/bench.ts", "benchGrammars");
