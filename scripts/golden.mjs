// Golden texts: npm run golden -- --help. It is TypeScript, as all tests are, and Node 20
// runs none: the tests' own Vite does.
import { createViteServer } from "vitest/node";

// A reader of the output may close it early.
process.stdout.on("error", ({ code }) => process.exit(code === "EPIPE" ? 0 : 1));

const vite = await createViteServer({
  configFile: false,
  logLevel: "error",
  appType: "custom",
  optimizeDeps: { noDiscovery: true },
  server: { middlewareMode: true, watch: null, hmr: false, ws: false },
});
try {
  const { golden } = await vite.ssrLoadModule("/test/golden/command.ts");
  process.exitCode = await golden(process.argv.slice(2));
} finally {
  await vite.close();
}
