import { homedir } from "node:os";
import { isHubName, parseHubName } from "../hub/name.ts";
import { type HubOptions, type PullProgress, pullModel } from "../hub/pull.ts";
import { hubSettings } from "../hub/settings.ts";
import { systemClock } from "../transport/node/clock.ts";
import { freshSecret } from "./node.ts";

/**
 * The path of a model that a user names: a file as it is, a name on the hub after a download where that is needed.
 * @throws HubError, SettingError
 */
export async function modelFile(
  nameOrFile: string,
  progress: (progress: PullProgress) => void,
): Promise<string> {
  if (!isHubName(nameOrFile)) return nameOrFile;
  return (await pullModel(parseHubName(nameOrFile), { ...hubOptions(), progress })).file;
}

/** @throws SettingError for an environment variable that cannot be */
export function hubOptions(): HubOptions {
  const settings = hubSettings(process.env, process.platform, homedir());
  return { ...settings, clock: systemClock, freshId: freshSecret };
}
