import { commands } from "../../src/cli/main.ts";

/** Command lines of PicoSpec in other files. */

/** What is wrong with arguments of the command line, read as it reads them. */
export function problems([name, ...args]: readonly string[]): string[] {
  const command = commands().find((one) => one.name() === name);
  if (!command) return [`there is no command ${name}`];
  let said = "";
  command
    .exitOverride()
    .configureOutput({
      writeErr: (text) => {
        said += text;
      },
      writeOut: () => {},
    })
    .action(() => {});
  try {
    command.parse([...args], { from: "user" });
  } catch {
    return [said];
  }
  return [];
}

/** An option's value in a command line; null: it is not there. */
export function optionOf(line: readonly string[], option: string): string | null {
  const index = line.indexOf(option);
  return index < 0 ? null : line[index + 1]!;
}
