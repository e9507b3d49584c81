import { type ChildProcess, spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";

/** The proxies of deploy/, with their own files: only addresses and paths are others. */

export interface RunningProxy {
  /** wss:// */
  readonly url: string;
  /** Resolves when it has said this, on either stream. */
  hears(word: string): Promise<void>;
  stop(): Promise<void>;
}

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** @throws Error unless each is there, once */
function replaced(text: string, changes: readonly (readonly [from: string, to: string])[]): string {
  let changed = text;
  for (const [from, to] of changes) {
    const parts = changed.split(from);
    if (parts.length !== 2) throw new Error(`${from} is there ${parts.length - 1} times`);
    changed = parts.join(to);
  }
  return changed;
}

/**
 * Writes a configuration of nginx with deploy/nginx/picospec.conf in it.
 * @param clouds ports of two
 * @returns its path
 */
export function nginxConfiguration(
  folder: string,
  port: number,
  clouds: readonly [number, number],
  { cert, key }: Certificate,
): string {
  const site = replaced(readFileSync("deploy/nginx/picospec.conf", "utf8"), [
    ["listen 443 ssl;", `listen 127.0.0.1:${port} ssl;`],
    ["/etc/nginx/tls/tls.crt", cert],
    ["/etc/nginx/tls/tls.key", key],
    ["server cloud-1:4747 ", `server 127.0.0.1:${clouds[0]} `],
    ["server cloud-2:4747 ", `server 127.0.0.1:${clouds[1]} `],
  ]);
  writeFileSync(join(folder, "picospec.conf"), site);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const path = join(folder, "nginx.conf");
  writeFileSync(
    path,
    `daemon off;
worker_processes 1;
pid ${join(folder, "nginx.pid")};
error_log stderr notice;
events { worker_connections 256; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join("\n  ")}
  include ${join(folder, "picospec.conf")};
}
`,
  );
  return path;
}

/** nginx in front of two clouds, ready. Stopped by its own pid. */
export async function startNginx(
  folder: string,
  clouds: readonly [number, number],
  certificate: Certificate,
): Promise<RunningProxy> {
  const port = await freePort();
  const path = nginxConfiguration(folder, port, clouds, certificate);
  const child = spawn("nginx", ["-c", path, "-p", folder, "-e", "stderr"]);
  return started(child, "start worker process ", `wss://127.0.0.1:${port}`);
}

/** @param ports of the clouds and of their probes, in the file's order */
export function haproxyConfiguration(
  folder: string,
  port: number,
  clouds: readonly { readonly port: number; readonly probes: number }[],
  { cert, key }: Certificate,
): string {
  const pem = join(folder, "haproxy.pem");
  writeFileSync(pem, [cert, key].map((path) => `${readFileSync(path, "utf8")}\n`).join(""));
  const path = join(folder, "haproxy.cfg");
  const text = replaced(readFileSync("deploy/haproxy/haproxy.cfg", "utf8"), [
    ["bind :443 ", `bind 127.0.0.1:${port} `],
    ["/etc/haproxy/tls/picospec.pem", pem],
    ...clouds.map(
      ({ port, probes }, index) =>
        [
          `server cloud-${index + 1} cloud-${index + 1}:4747`,
          `server cloud-${index + 1} 127.0.0.1:${port} port ${probes}`,
        ] as const,
    ),
  ]);
  writeFileSync(path, text);
  return path;
}

/** HAProxy in front of two clouds, ready. Stopped by its own pid. */
export async function startHaproxy(
  folder: string,
  clouds: readonly { readonly port: number; readonly probes: number }[],
  certificate: Certificate,
): Promise<RunningProxy> {
  const port = await freePort();
  const path = haproxyConfiguration(folder, port, clouds, certificate);
  const child = spawn("haproxy", ["-W", "-f", path]);
  return started(child, "Loading success", `wss://127.0.0.1:${port}`);
}

/** @param word what it says when it is ready */
async function started(child: ChildProcess, word: string, url: string): Promise<RunningProxy> {
  let said = "";
  const heard = new EventEmitter();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      said += chunk;
      heard.emit("more");
    });
  }
  const ended = once(child, "close");
  const hears = async (awaited: string) => {
    while (!said.includes(awaited)) {
      const more = await Promise.race([once(heard, "more").then(() => true), ended.then(() => false)]);
      if (!more) throw new Error(`${child.spawnfile} ended: ${said}`);
    }
  };
  await hears(word);
  return {
    ...{ url, hears },
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
