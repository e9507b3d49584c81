// Loaded into a server before it starts (NODE_OPTIONS=--import): measures each handler, and reports on SIGUSR2. Also
// switches bounds off, for controls: PICOSPEC_ATTACK_WITHOUT names a module, an object of limits and a field.
import { createHook } from "node:async_hooks";
import { openSync, readSync, renameSync, writeFileSync } from "node:fs";

const { PICOSPEC_ATTACK_REPORT: report, PICOSPEC_ATTACK_WITHOUT: without } = process.env;

if (report && /picospec\.js$/.test(process.argv[1] ?? "")) {
  for (const one of without ? without.split(",") : []) {
    const [module, object, field] = one.split("#");
    (await import(module))[object][field] = Number.POSITIVE_INFINITY;
  }
  measure();
}

function measure() {
  const buffer = Buffer.alloc(64);
  let file = null;
  try {
    file = openSync(`/proc/self/task/${process.pid}/schedstat`);
  } catch {
    // Not Linux: the time on the clock, which is never less.
  }
  /** Time that this thread was on a CPU, in ms. */
  const cpuMs = () => {
    if (file === null) return performance.now();
    const bytes = readSync(file, buffer, 0, buffer.length, 0);
    return Number(buffer.toString("latin1", 0, bytes).split(" ")[0]) / 1e6;
  };
  let [depth, startMs, startWallMs] = [0, 0, 0];
  let longest = { cpuMs: 0, wallMs: 0, what: "" };
  let handlers = 0;
  const types = new Map();
  createHook({
    init(id, type) {
      types.set(id, type);
    },
    destroy(id) {
      types.delete(id);
    },
    before() {
      if (depth++ > 0) return;
      startWallMs = performance.now();
      startMs = cpuMs();
    },
    after(id) {
      if (--depth > 0) return;
      depth = 0;
      handlers++;
      const wallMs = performance.now() - startWallMs;
      if (wallMs <= longest.cpuMs) return;
      const spentMs = cpuMs() - startMs;
      if (spentMs > longest.cpuMs) longest = { cpuMs: spentMs, wallMs, what: types.get(id) ?? "?" };
    },
  }).enable();
  process.on("SIGUSR2", () => {
    writeFileSync(`${report}.new`, JSON.stringify({ ...longest, handlers }));
    renameSync(`${report}.new`, report);
    longest = { cpuMs: 0, wallMs: 0, what: "" };
    handlers = 0;
  });
}
