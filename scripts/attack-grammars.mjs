// What hostile grammars do to the answers of others: npm run attack:grammars, after a build. TypeScript, which Node 20 does not run:
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
  const { printAttack } = await vite.ssrLoadModule("/test/grammars/attack.ts");
  process.exitCode = await printAttack(process.argv.slice(2));
} finally {
  await vite.close();
}
