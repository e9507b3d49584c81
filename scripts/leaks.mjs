// Planted leaks against the fault search: npm run leaks -- --help. It is TypeScript, as all tests are, and Node 20
// runs none: the tests' own Vite does.
import { createViteServer } from "vitest/node";

// A reader of the output may close it early.
process.stdout.on("error", ({ code }) => process.exit(code === "EPIPE" ? 0 : 1));

const servers = [];

/** A module of the tests, from this repository or from a copy of it. */
async function load(root, path) {
  const vite = await createViteServer({
    root,
    configFile: false,
    logLevel: "error",
    appType: "custom",
    optimizeDeps: { noDiscovery: true },
    server: { middlewareMode: true, watch: null, hmr: false, ws: false },
  });
  servers.push(vite);
  return vite.ssrLoadModule(path);
}

try {
  const { leaks } = await load(process.cwd(), "/test/fuzz/leaks-command.ts");
  process.exitCode = await leaks(process.argv.slice(2), load);
} finally {
  for (const vite of servers) await vite.close();
}
