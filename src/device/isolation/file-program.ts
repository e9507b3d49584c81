import { assert } from "../../util/assert.ts";
import { inspectFile, inspectLibrary } from "./inspect.ts";
import { serveRequests } from "./serve.ts";

/** The program of a process of its own, in which llama.cpp and the files that it opens may fail as hard as they like. */

serveRequests((request, stage) => {
  if (request.kind === "library") return inspectLibrary(request.gpu);
  assert(request.kind === "file", "a file is asked about");
  return inspectFile(request, stage);
});
