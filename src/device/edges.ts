import { targetDifference } from "../edge/target-difference.ts";
import type { TargetInfo } from "../protocol/frame.ts";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import { openClient } from "./device.ts";
import {
  type CreateEdgeOptions,
  checkedEdgeOptions,
  createSharingEdge,
  credentialsOf,
  type DeviceEdge,
} from "./edge.ts";
import { tellFault } from "./options.ts";

/** Edges out of the addresses of several clouds: those that serve one target are replicas, others are other models. */

export interface CreateEdgesOptions extends Omit<CreateEdgeOptions, "cloud" | "cloudChanged"> {
  readonly clouds: readonly string[];
  /** a line for the operator: which cloud serves what, and how they are. Default: dropped */
  readonly log?: (line: string) => void;
}

/** What one address answered. */
interface Probed {
  readonly url: string;
  /** null: no cloud is there, or it refuses */
  readonly target: TargetInfo | null;
}

/** A target and the addresses that serve it. */
interface ModelPlan {
  readonly name: string | null;
  readonly target: TargetInfo | null;
  readonly clouds: readonly string[];
}

/**
 * One edge for each target that the clouds serve; the first is the default. The caller closes them, the last one first:
 * they share a drafter. What is not there yet is taken for a replica of the first target, and is not used where it turns
 * out to serve another. A cloud that refuses (a wrong key) is told of, and is tried again.
 * @throws SettingError, HubError, EngineError; ConnectionError `bad_url`; CloudError where no target fits the drafter
 * @example
 * import { createEdges, serveEndpoint } from "picospec";
 *
 * const clouds = ["ws://10.0.0.1:4747", "ws://10.0.0.2:4747"];
 * const edges = await createEdges({ clouds, model: "small.gguf", offline: "wait" });
 * const server = await serveEndpoint(edges, { port: 8080 });
 * console.log(`${server.url}/v1`);
 */
export async function createEdges(options: CreateEdgesOptions): Promise<DeviceEdge[]> {
  const { clouds, log = () => {}, name = null, ...shared } = options;
  checkedEdgeOptions({ ...shared, cloud: clouds });
  const found = clouds.length < 2 ? [{ name, target: null, clouds }] : plansOf(await probeAll(options));
  const plans = found.map((plan, i) => (i === 0 && name !== null ? { ...plan, name } : plan));
  for (const plan of plans.length > 1 ? plans : []) log(`${plan.name}: ${plan.clouds.join(", ")}`);
  const edges = await fitting(plans, shared, log);
  const lost = plans.filter((_, i) => !edges[i]);
  try {
    for (const plan of lost) edges[plans.indexOf(plan)] = await lookupEdge(plan, shared, log);
  } catch (error) {
    await closeEdges(edges);
    throw error;
  }
  return edges.filter((edge) => edge !== null);
}

/** Closes edges that share a drafter. */
export async function closeEdges(edges: readonly (DeviceEdge | null)[]): Promise<void> {
  for (const edge of [...edges].reverse()) await edge?.close();
}

/**
 * Groups what clouds serve, by target and in their order.
 * @returns one plan at least
 */
export function plansOf(probed: readonly Probed[]): readonly ModelPlan[] {
  const groups: { target: TargetInfo; clouds: string[] }[] = [];
  for (const { url, target } of probed) {
    if (!target) continue;
    const same = groups.find(
      (group) => !targetDifference(group.target, group.target.identity ?? null, target),
    );
    if (same) same.clouds.push(url);
    else groups.push({ target, clouds: [url] });
  }
  const away = probed.filter(({ target }) => !target).map(({ url }) => url);
  if (groups.length === 0) return [{ name: null, target: null, clouds: away }];
  groups[0]!.clouds.push(...away);
  const taken = new Set<string>();
  return groups.map(({ target, clouds }) => {
    const name = taken.has(target.name) ? `${target.name}@${new URL(clouds[0]!).host}` : target.name;
    taken.add(name);
    return { name: groups.length > 1 ? name : null, target, clouds };
  });
}

/** Asks every address at once what it serves. @throws ConnectionError `bad_url` */
function probeAll(options: CreateEdgesOptions): Promise<Probed[]> {
  const { clouds, failed = tellFault, log = () => {} } = options;
  const credentials = credentialsOf(options);
  return Promise.all(
    clouds.map(async (url): Promise<Probed> => {
      try {
        const client = await openClient({
          ...{ clouds: [url], credentials, reconnectMs: 0, failed },
          ...{ tokenizer: { fingerprint: "" }, drafter: null, grammars: null },
        });
        const { target } = client;
        client.close();
        return { url, target };
      } catch (error) {
        if (codeOf(error) === "bad_url") throw error;
        log(messageOf(error));
        return { url, target: null };
      }
    }),
  );
}

/** An edge for each target that the drafter fits; null for the others. @throws for the first where it fits none */
async function fitting(
  plans: readonly ModelPlan[],
  options: Omit<CreateEdgeOptions, "cloud">,
  log: (line: string) => void,
): Promise<(DeviceEdge | null)[]> {
  const edges: (DeviceEdge | null)[] = [];
  let misfit: unknown = null;
  try {
    for (const plan of plans) {
      const donor = edges.find((edge) => edge?.loaded.own) ?? null;
      const edge = await edgeFor(plan, donor, options, log).catch((error: unknown) => {
        if (plans.length === 1 || codeOf(error) !== "tokenizer_mismatch") throw error;
        misfit ??= error;
        return null;
      });
      edges.push(edge);
    }
    if (edges.every((edge) => edge === null)) throw misfit;
    return edges;
  } catch (error) {
    await closeEdges(edges);
    throw error;
  }
}

/** @param donor has loaded the drafter; null: it is loaded here */
function edgeFor(
  { name, target, clouds }: ModelPlan,
  donor: DeviceEdge | null,
  options: Omit<CreateEdgeOptions, "cloud">,
  log: (line: string) => void,
): Promise<DeviceEdge> {
  const which = name ?? "the cloud";
  return createSharingEdge(
    {
      ...options,
      ...(clouds.length > 0 ? { cloud: clouds } : {}),
      ...(name === null ? {} : { name }),
      cloudChanged: ({ up, error }) =>
        log(up ? `${which} is up` : `${which} is down${error ? `: ${error.message}` : ""}`),
    },
    {
      ...(target && clouds.length > 0 ? { expected: target } : {}),
      ...(donor ? { loaded: donor.loaded } : {}),
      refusable: true,
      tokenizerWithinMs: Number.POSITIVE_INFINITY,
    },
  );
}

/** For a target that the drafter does not fit. */
function lookupEdge(
  plan: ModelPlan,
  options: Omit<CreateEdgeOptions, "cloud">,
  log: (line: string) => void,
): Promise<DeviceEdge> {
  log(`${plan.name}: the drafter has another tokenizer, so that prompt lookup drafts for this model`);
  const { model: _, offline, ...rest } = options;
  // There is no small model that could speak alone.
  const mode = offline === "edge" ? { offline: "wait" as const } : offline ? { offline } : {};
  return edgeFor(plan, null, { ...rest, ...mode, drafter: "lookup" }, log);
}

function codeOf(error: unknown): string | null {
  return error instanceof PicoSpecError ? error.code : null;
}
