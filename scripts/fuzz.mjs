// The fault search from the command line: npm run fuzz -- --help. It is TypeScript, as all tests are, and Node 20
// runs none: the tests' own Vite does.
import { createViteServer } from "vitest/node";

// Whoever reads a timeline may have read enough.
process.stdout.on("error", ({ code }) => process.exit(code === "EPIPE" ? 0 : 1));

const vite = await createViteServer({
  configFile: false,
  logLevel: "error",
  appType: "custom",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, watch: null, hmr: false, ws: false },
});
try {
  const { fuzz } = await vite.ssrLoadModule("/test/fuzz/command.ts");
  process.exitCode = fuzz(process.argv.slice(2));
} finally {
  await vite.close();
}
