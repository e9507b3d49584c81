import { z } from "zod";
import { parsedJson } from "../util/json.ts";
import { HubError } from "./errors.ts";
import { safePath } from "./name.ts";
import type { HubFile } from "./pick.ts";
import { readText, request, type Wire } from "./request.ts";
import { withRetries } from "./waiting.ts";

const entriesSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.number().int().nonnegative().default(0),
    /** only large files have it; its oid is the sha256 of the content */
    lfs: z
      .object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() })
      .nullish(),
  }),
);

/**
 * The GGUF files of a repository's branch main.
 * @throws HubError
 */
export async function listFiles(wire: Wire, repository: string): Promise<HubFile[]> {
  const { clock, limits } = wire;
  const files: HubFile[] = [];
  let next: string | null = `${wire.endpoint}/api/models/${repository}/tree/main?recursive=true`;
  for (let pages = 0; next !== null; pages++) {
    if (pages === limits.pages) {
      const message = `the listing of ${repository} goes on after ${pages} pages; name a smaller repository`;
      throw new HubError("hub_answer", message);
    }
    const address: string = next;
    const page = await withRetries(clock, limits, limits.listTries, async () => {
      const answer = await request(wire, repository, address);
      const link = nextPage(answer.response.headers.get("link"), address);
      return { link, text: await readText(wire, answer) };
    });
    files.push(...filesIn(page.text, repository));
    next = page.link;
  }
  return files;
}

/** @throws HubError `hub_answer` for what is no listing, or names a path outside of its folder */
export function filesIn(text: string, repository: string): HubFile[] {
  const parsed = entriesSchema.safeParse(parsedJson(text));
  if (!parsed.success) {
    const message = `what came is no listing of ${repository}; does PICOSPEC_HF_ENDPOINT name a Hugging Face hub?`;
    throw new HubError("hub_answer", message);
  }
  const files = parsed.data.filter(({ type, path }) => type === "file" && /\.gguf$/i.test(path));
  return files.map(({ path, size, lfs }) => {
    if (!safePath(path)) {
      const shown = JSON.stringify(path.slice(0, 100));
      throw new HubError("hub_answer", `${repository} lists a file that is no path of a model: ${shown}`);
    }
    return { path, sizeBytes: lfs?.size ?? size, sha256: lfs?.oid ?? null };
  });
}

/** The address behind rel="next" in a Link header (RFC 8288); null: this was the last page. */
export function nextPage(link: string | null, base: string): string | null {
  const [, target] = /<([^>]*)>\s*;[^,]*\brel="?next"?/.exec(link ?? "") ?? [];
  return target !== undefined && URL.canParse(target, base) ? new URL(target, base).href : null;
}
