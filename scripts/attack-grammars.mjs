// What hostile grammars do to the answers of others: npm run attack:grammars, after a build.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/grammars/attack.ts", "printAttack");
