// Fuzzed frames and HTTP bodies from the command line: npm run fuzz:peers -- --help.
import { runTypeScript } from "./typescript.mjs";

await runTypeScript("/test/fuzz/peers.ts", "fuzzPeers");
