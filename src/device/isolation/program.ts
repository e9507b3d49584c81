import { Worker } from "node:worker_threads";
import type { Outcome } from "./outcome.ts";
import { outcomeOf } from "./outcome.ts";
import type { Message, Request } from "./requests.ts";

/**
 * The program of a process of its own, in which what came from outside may fail as hard as it likes: see child.ts. It
 * answers one request after the other, and ends with its parent. Argument: memory in bytes that it may take, watched
 * here; 0: the kernel sees to it.
 */

/** A thread, since the main one may be stuck. */
const WATCH = `
const { workerData: { memoryBytes, parent } } = require("node:worker_threads");
setInterval(() => {
  const tooLarge = memoryBytes > 0 && process.memoryUsage.rss() > memoryBytes;
  if (tooLarge) process.stderr.write("out of memory: more than " + memoryBytes + " bytes\\n");
  if (tooLarge || process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, memoryBytes > 0 ? 20 : 500);`;

function send(message: Message): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}

/** What is needed for one kind is loaded for it alone: a process that renders templates has no llama.cpp. */
async function answer(request: Request): Promise<unknown> {
  switch (request.kind) {
    case "library": {
      const { inspectLibrary } = await import("./inspect.ts");
      return inspectLibrary(request.gpu);
    }
    case "file": {
      const { inspectFile } = await import("./inspect.ts");
      // Told before it begins: what follows may never return.
      return inspectFile(request, (stage) => send({ stage }));
    }
    case "template": {
      const { renderTemplate } = await import("../../text/chat-template.ts");
      return renderTemplate(request.source, request.variables, request.mostCharacters);
    }
    default:
      return request satisfies never;
  }
}

const memoryBytes = Number(process.argv[2]);
new Worker(WATCH, { eval: true, workerData: { memoryBytes, parent: process.ppid } }).unref();

let last: Promise<unknown> = Promise.resolve();
process.on("message", ({ number, request }: { number: number; request: Request }) => {
  last = last.then(async () => {
    const outcome: Outcome<unknown> = await outcomeOf(() => answer(request));
    await send({ number, outcome });
  });
});
process.on("disconnect", () => process.exit(0));
