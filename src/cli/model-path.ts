import { checkFile } from "../device/isolation/check.ts";
import { hubOptions, modelFile } from "../device/model-file.ts";
import { parseHubName } from "../hub/name.ts";
import { bytesText } from "../hub/pick.ts";
import { type PulledModel, type PullProgress, pullModel } from "../hub/pull.ts";
import { progressBar } from "./output.ts";

/** How help texts name what `modelPath` takes. */
export const MODEL = "FILE|hf:owner/repo[:quant]";

/** `modelFile` of the library, with the progress of a download on stderr. @throws HubError, SettingError */
export async function modelPath(nameOrFile: string): Promise<string> {
  const { show, end } = downloadProgress();
  return modelFile(nameOrFile, show).finally(end);
}

/** The same, of a model that this process loads by itself: checked, as `createEdge` does. @throws EngineError too */
export async function checkedModelPath(nameOrFile: string): Promise<string> {
  const path = await modelPath(nameOrFile);
  await checkFile(path, "whole");
  return path;
}

/** From the hub or the cache, with its progress on stderr. @throws HubError, SettingError */
export async function pull(text: string): Promise<PulledModel> {
  const name = parseHubName(text);
  const { show, end } = downloadProgress();
  return pullModel(name, { ...hubOptions(), progress: show }).finally(end);
}

/** Of a model that is downloaded where it is not there, and then loaded: bars on stderr, one after the other. */
export function loadingProgress(label: string) {
  const loading = progressBar(label);
  const downloading = downloadProgress();
  return {
    loading(fraction: number): void {
      downloading.end();
      loading.update(fraction);
      if (fraction === 1) loading.end();
    },
    downloading: downloading.show,
    end(): void {
      loading.end();
      downloading.end();
    },
  };
}

/** A download. A bar on a terminal; elsewhere, such as in a log, a line for each tenth. */
function downloadProgress(): { show(progress: PullProgress): void; end(): void } {
  let bar: ReturnType<typeof progressBar> | null = null;
  let shown = "";
  let tenth = -1;
  return {
    show(progress) {
      const label = labelOf(progress);
      if (label !== shown) {
        bar?.end();
        bar = progressBar(label);
        shown = label;
        tenth = -1;
      }
      const fraction = progress.totalBytes === 0 ? 1 : progress.doneBytes / progress.totalBytes;
      bar?.update(fraction);
      if (process.stderr.isTTY || Math.floor(fraction * 10) <= tenth) return;
      tenth = Math.floor(fraction * 10);
      console.error(progress.phase === "downloading" ? `${label}: ${tenth * 10}%` : label);
      if (progress.phase !== "downloading") tenth = 10;
    },
    end() {
      bar?.end();
      bar = null;
    },
  };
}

function labelOf({ phase, path, part, parts, totalBytes }: PullProgress): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const which = parts > 1 ? ` (part ${part} of ${parts})` : "";
  switch (phase) {
    case "waiting":
      return `another process is downloading ${file}${which}: waiting for it`;
    case "downloading":
      return `downloading ${file}${which}, ${bytesText(totalBytes)}`;
    case "verifying":
      return `verifying ${file}${which}`;
    default:
      return phase satisfies never;
  }
}
