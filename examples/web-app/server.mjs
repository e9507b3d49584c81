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
  response.writeHead(endpoint ? 200 : 503, { "content-type": "text/html; charset=utf-8" });
  response.end(endpoint ? page.replace("ENDPOINT", endpoint.url) : "not ready");
});
app.listen(Number(port), "127.0.0.1", async () => {
  const origins = ["127.0.0.1", "localhost"].map((name) => `http://${name}:${app.address().port}`);
  // Only the app's own pages may ask.
  endpoint = await serveEndpoint(edge, { origins });
  console.log(`open ${origins[0]}, answered by ${endpoint.url}`);
});

process.once("SIGTERM", stop).once("SIGINT", stop);
async function stop() {
  app.close();
  app.closeAllConnections();
  await endpoint?.close();
  await edge.close();
}
