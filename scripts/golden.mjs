// Golden texts: npm run golden -- --help.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/golden/command.ts", "golden");
