import { SettingError } from "../util/errors.ts";

/** Implementations by name: engines of targets, drafters. What a program wires in is registered once, where it starts. */
export class Registry<Entry> {
  private readonly what: string;
  private readonly entries = new Map<string, Entry>();

  /** @param what is registered, for messages: "engine" */
  constructor(what: string) {
    this.what = what;
  }

  get names(): string[] {
    return [...this.entries.keys()];
  }

  /** @throws SettingError when the name is taken */
  register(name: string, entry: Entry): this {
    if (this.entries.has(name))
      throw new SettingError(this.what, `there is a ${this.what} "${name}" already`);
    this.entries.set(name, entry);
    return this;
  }

  /** @throws SettingError that lists the names there are */
  named(name: string): Entry {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    const message = `unknown ${this.what} "${name}"; there are ${this.names.join(", ")}`;
    throw new SettingError(this.what, message);
  }
}
