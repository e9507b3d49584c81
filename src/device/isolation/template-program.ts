import { renderTemplate } from "../../text/chat-template.ts";
import { assert } from "../../util/assert.ts";
import { serveRequests } from "./serve.ts";

/** The program of a process of its own that renders chat templates. It has no llama.cpp: it lives as long as an edge. */

serveRequests((request) => {
  assert(request.kind === "template", "a template is to be rendered");
  return renderTemplate(request.source, request.variables, request.mostCharacters);
});
