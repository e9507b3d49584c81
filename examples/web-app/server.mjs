/** A web app with an edge beside it: node examples/web-app/server.mjs [CLOUD] [MODEL] [PORT] */
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createEdge, serveEndpoint } from "picospec";

const [cloud = "ws://127.0.0.1:4747", model = "models/pico-drafter-q8_0.gguf", port = "3000"] =
  process.argv.slice(2);
const page = await readFile(new URL("page.html", import.meta.url), "utf8");

const edge = await createEdge({ cloud, model });
let endpoint;
const app = createServer((_request, response) => {
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(page.replace("ENDPOINT", endpoint.url));
});
app.listen(Number(port), "127.0.0.1", async () => {
  const origin = `http://127.0.0.1:${app.address().port}`;
  // Only the app's own pages may ask.
  endpoint = await serveEndpoint(edge, { origins: [origin] });
  console.log(`open ${origin}, answered by ${endpoint.url}`);
});

process.once("SIGTERM", stop).once("SIGINT", stop);
async function stop() {
  app.close();
  app.closeAllConnections();
  await endpoint?.close();
  edge.close();
}
