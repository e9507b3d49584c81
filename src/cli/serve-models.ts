import type { DrafterKind } from "../device/drafter.ts";
import type { DeviceEdge } from "../device/edge.ts";
import { closeEdges, createEdges } from "../device/edges.ts";
import { computeOf } from "../engine/llama/compute.ts";
import type { Log } from "../util/log.ts";
import { checkLink, type LinkValues } from "./ask.ts";
import type { ConfiguredModel } from "./config.ts";
import { credentialsOf } from "./credentials.ts";
import { loadingProgress } from "./model-path.ts";
import { printable } from "./text.ts";

/** The models that an edge serves, out of its options. */

export interface ModelsValues extends LinkValues {
  /** out of a configuration */
  readonly models?: readonly ConfiguredModel[];
  /** what clients call the model, out of a configuration */
  readonly name?: string;
}

/** Of a configuration with a list of targets, each of them with its own clouds. */
export async function openModels(
  values: ModelsValues,
  log: Log,
  failed: (error: unknown) => void,
): Promise<DeviceEdge[]> {
  const { models } = values;
  if (!models) return openEdges(values, log, failed);
  const edges: DeviceEdge[] = [];
  try {
    for (const { cloud, drafter, ...one } of models) {
      const clouds = typeof cloud === "string" ? [cloud] : cloud;
      const own = drafter === undefined ? {} : { drafter: drafter as DrafterKind };
      const given = Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined));
      edges.push(...(await openEdges({ ...values, ...given, ...own, cloud: clouds }, log, failed)));
    }
    return edges;
  } catch (error) {
    await closeEdges(edges);
    throw error;
  }
}

async function openEdges(
  values: ModelsValues,
  log: Log,
  failed: (error: unknown) => void,
): Promise<DeviceEdge[]> {
  checkLink(values);
  const { key, ca } = credentialsOf(values, values.cloud ?? []);
  const { cloud = [], model, policy, drafter, threads, gpu, reconnect, offline } = values;
  const { loading, downloading, end } = loadingProgress(`loading ${model ?? "the tokenizer"}`);
  return createEdges({
    clouds: cloud,
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(offline === undefined ? {} : { offline }),
    ...(key === undefined ? {} : { cloudKey: key }),
    ...(ca === undefined ? {} : { cloudCa: ca }),
    ...(model === undefined ? {} : { model }),
    policy: policy.policy,
    drafter,
    ...(threads === undefined ? {} : { threads }),
    gpu,
    ...computeOf(values),
    reconnectMs: reconnect * 1000,
    failed,
    log: (line) => log.info({}, printable(line)),
    loading,
    downloading,
  }).finally(end);
}
