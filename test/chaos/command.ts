import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";
import { manyEdges } from "./edges.ts";

/** `npm run chaos`. */
export async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      generations: { type: "string", default: "200" },
      edges: { type: "string", default: "4" },
      seed: { type: "string", default: "1" },
    },
  });
  const [generations, edges, seed] = [Number(values.generations), Number(values.edges), Number(values.seed)];
  const startedMs = performance.now();
  const report = await chaos({ generations, edges, seed, reconnectSeconds: 60 }, console.log);
  const { right, wrong, failed, faults } = report;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  console.log(`${right} right texts, ${wrong} wrong, ${failed} failed, in ${seconds} s`);
  console.log(`links (emulated): ${faults.drop} dropped, ${faults.stall} stalled, ${faults.reset} reset`);
  return right === generations ? 0 : 1;
}

/** `npm run soak:edges`. @param given seconds, edges */
export async function soak(given: readonly string[]): Promise<number> {
  const [seconds = 300, edges = 64] = given.map(Number);
  const { answers, wrong, failed, passP99, residentMb } = await manyEdges(edges, seconds, console.log);
  console.log(`${edges} edges, ${seconds} s: ${answers} right answers, ${wrong} wrong, ${failed} failed`);
  console.log(
    `p99 of a pass, by quarters: at most ${passP99.join(", ")} s; resident memory ${residentMb.join(", ")} MB`,
  );
  return wrong + failed === 0 ? 0 : 1;
}
