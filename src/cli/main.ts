import { Command, CommanderError } from "commander";
import { version } from "../device/node.ts";
import { messageOf, PicoSpecError, SettingError } from "../util/errors.ts";
import { benchCommand } from "./bench.ts";
import { serveCommand } from "./both.ts";
import { chatCommand } from "./chat.ts";
import { cloudCommand } from "./cloud.ts";
import { applyConfig } from "./config.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { evalCommand } from "./eval.ts";
import { Exit } from "./exit.ts";
import { keysCommand } from "./keys.ts";
import { modelsCommand } from "./models.ts";
import { planCommand } from "./plan.ts";
import { runCommand } from "./run.ts";
import { edgeCommand } from "./serve.ts";
import { simulateCommand } from "./simulate.ts";
import { helpText, printable } from "./text.ts";

/** All commands, new ones each time. */
export function commands(): Command[] {
  return [
    demoCommand(),
    cloudCommand(),
    keysCommand(),
    edgeCommand(),
    serveCommand(),
    runCommand(),
    chatCommand(),
    doctorCommand(),
    planCommand(),
    simulateCommand(),
    benchCommand(),
    evalCommand(),
    modelsCommand(),
  ];
}

/**
 * The command line.
 * @returns the exit status: 0, 1 for what failed, 2 for a wrong command line, 130 for what SIGINT ended
 */
export async function main(args: readonly string[]): Promise<number> {
  // A reader that has seen enough, such as head, closes the pipe: that is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  const program = new Command("picospec")
    .description(
      "Edge-cloud speculative decoding: a small model here drafts, a large one in the cloud verifies.",
    )
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: (text) => process.stdout.write(helpText(text)) })
    .configureHelp({ showGlobalOptions: false })
    .addHelpText(
      "after",
      `
Examples:
  $ picospec demo                                         cloud alone against PicoSpec, on bundled models
  $ picospec cloud --model target.gguf --port 4747        serve a large model
  $ picospec run "Why is the sky blue?" --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec chat --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec doctor                                       what is wrong here, and what to do about it`,
    );
  program.hook("preSubcommand", (_, command) => applyConfig(command, args));
  let acting: Command | null = null;
  program.hook("preAction", (_, command) => {
    acting = command;
  });
  for (const command of commands()) {
    program.addCommand(
      command
        .exitOverride()
        .showHelpAfterError("(add --help for what there is)")
        .configureOutput({ writeOut: (text) => process.stdout.write(helpText(text)) }),
    );
  }
  try {
    if (args.length === 0) program.help();
    await program.parseAsync([...args], { from: "user" });
    return 0;
  } catch (error) {
    return statusOf(error, acting);
  }
}

function statusOf(error: unknown, command: Command | null): number {
  if (error instanceof Exit) return error.status;
  // commander has printed its own messages, and help is none.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof PicoSpecError) {
    // It may quote what a cloud said.
    console.error(`picospec: ${printable(withFlags(error, command))}`);
    // Settings and names of models come from the command line and the environment; what a file says wrong is a failure.
    return error instanceof SettingError || error.code === "bad_name" ? 2 : 1;
  }
  console.error(`picospec: this should not happen: ${messageOf(error)}`);
  if (error instanceof Error && process.env.PICOSPEC_DEBUG) console.error(error.stack);
  else console.error("PICOSPEC_DEBUG=1 shows where; please report it");
  return 1;
}

/** A setting has one name in the library, and on the command line its option's. */
function withFlags(error: PicoSpecError, command: Command | null): string {
  if (!(error instanceof SettingError)) return error.message;
  const flags = (command?.options ?? [])
    .filter((option) => /[A-Z]/.test(option.attributeName()))
    .map((option) => [option.attributeName(), option.long] as const);
  return flags.reduce(
    (text, [name, flag]) => text.replaceAll(new RegExp(`\\b${name}\\b`, "g"), flag ?? name),
    error.message,
  );
}
