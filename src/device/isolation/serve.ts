import { Worker } from "node:worker_threads";
import { outcomeOf } from "./outcome.ts";
import type { Message, Request } from "./requests.ts";

/** A thread, since the main one may be stuck. */
const WATCH = `
const { workerData: { memoryBytes, parent } } = require("node:worker_threads");
setInterval(() => {
  const tooLarge = memoryBytes > 0 && process.memoryUsage.rss() > memoryBytes;
  if (tooLarge) process.stderr.write("out of memory: more than " + memoryBytes + " bytes\\n");
  if (tooLarge || process.ppid !== parent) process.kill(process.pid, "SIGKILL");
}, memoryBytes > 0 ? 20 : 500);`;

/**
 * What the programs of child.ts do: answer one request after the other, and end with their parent. Argument of the
 * process: memory in bytes that it may take, watched here; 0: the kernel sees to it.
 * @param stage tells what begins before it does, since it may never return
 */
export function serveRequests(
  answer: (request: Request, stage: (stage: string) => Promise<void>) => unknown,
): void {
  const memoryBytes = Number(process.argv[2]);
  new Worker(WATCH, { eval: true, workerData: { memoryBytes, parent: process.ppid } }).unref();
  let last: Promise<unknown> = Promise.resolve();
  process.on("message", ({ number, request }: { number: number; request: Request }) => {
    last = last.then(async () => {
      const outcome = await outcomeOf(() => answer(request, (stage) => send({ stage })));
      await send({ number, outcome });
    });
  });
  process.on("disconnect", () => process.exit(0));
}

function send(message: Message): Promise<void> {
  return new Promise((resolve) => process.send?.(message, undefined, undefined, () => resolve()));
}
