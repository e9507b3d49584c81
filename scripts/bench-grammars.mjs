// What grammars cost on this machine: npm run bench:grammars [-- --model FILE]. TypeScript, which Node 20 does not run:
// the tests' own Vite does.
import { createViteServer } from "vitest/node";

const vite = await createViteServer({
  configFile: false,
  logLevel: "error",
  appType: "custom",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, watch: null, hmr: false, ws: false },
});
try {
  const { benchGrammars } = await vite.ssrLoadModule("/test/grammars/bench.ts");
  process.exitCode = await benchGrammars(process.argv.slice(2));
} finally {
  await vite.close();
}
