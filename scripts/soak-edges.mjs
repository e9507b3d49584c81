// Many edges on one cloud: npm run soak:edges -- [SECONDS] [EDGES], five minutes and 64 unless said otherwise, after a build.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/chaos/command.ts", "soak");
