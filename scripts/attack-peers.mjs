// What hostile peers do to a cloud, an edge and the answers of others: npm run attack:peers -- [MS] [WORD...], after a build.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/attacks/suite.ts", "printAttacks");
