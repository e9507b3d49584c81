// What damaged model files and tokenizers do to a process that opens them: npm run attack:files, after a build.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/files/attack.ts", "printAttack");
