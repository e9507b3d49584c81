// Modules of the tests, which are TypeScript, for scripts: Node 20 runs none, and the tests' own Vite does.
import { createViteServer } from "vitest/node";

const servers = [];

/** A module from a checkout or a copy of it. @param root its folder @param path from there, with a slash before it */
export async function loadTypeScript(root, path) {
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

/** Runs a command of the tests with this process's arguments: what it returns is the exit status. */
export async function runTypeScript(path, name) {
  // A reader of the output may close it early.
  process.stdout.on("error", ({ code }) => process.exit(code === "EPIPE" ? 0 : 1));
  try {
    const module = await loadTypeScript(process.cwd(), path);
    process.exitCode = await module[name](process.argv.slice(2), loadTypeScript);
  } finally {
    for (const server of servers) await server.close();
  }
}
