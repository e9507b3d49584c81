// Real processes over links that drop, stall and reset: npm run chaos -- [--generations N] [--edges N] [--seed N], after a build.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/chaos/command.ts", "main");
