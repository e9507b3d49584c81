import { Command } from "commander";

export function benchCommand(): Command {
  return new Command("bench").description("measure PicoSpec's own cost on this machine").action(() => {});
}
