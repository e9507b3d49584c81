// Runs the flows of one client, in a process of its own: `node run.mjs NAME list`, or `node run.mjs NAME '{"url": …}'`.
// Prints a line of JSON a flow: its name, and an error where it went wrong.
const [name, given] = process.argv.slice(2);
const { client = null, flows } = await import(`../${name}.mjs`);
const NOWHERE = "http://127.0.0.1:9";
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

if (client === null) {
  // Flows that another test runs.
  tell({ client, flows: [] });
} else if (given === "list") {
  tell({ client, flows: Object.keys(flows({ url: NOWHERE, key: "key", scriptedUrl: NOWHERE })) });
} else {
  for (const [flow, act] of Object.entries(flows(JSON.parse(given)))) {
    try {
      await act();
      tell({ flow, error: null });
    } catch (error) {
      tell({ flow, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  }
}
process.exit(0);
