import { HttpError } from "../errors.ts";
import type { Route } from "../face.ts";

/** What OpenAI's API has and this endpoint has not: clients that ask for it are told why. */

const TEXT_ONLY = "the models here write text, and take nothing else";
const REASONS: Readonly<Record<string, string>> = {
  embeddings: "the models here write text, and make no embeddings: ask a server that has a model for that",
  moderations: "there is no model for moderation here",
  ...{ "images/generations": TEXT_ONLY, "images/edits": TEXT_ONLY, "images/variations": TEXT_ONLY },
  ...{ "audio/speech": TEXT_ONLY, "audio/transcriptions": TEXT_ONLY, "audio/translations": TEXT_ONLY },
  ...{ videos: TEXT_ONLY, "realtime/sessions": TEXT_ONLY, "realtime/client_secrets": TEXT_ONLY },
  ...{ files: "no files are kept here", uploads: "no files are kept here" },
  vector_stores: "no files are kept here",
  batches: "requests are answered at once: send them one by one",
  "fine_tuning/jobs": "models are not trained here",
  assistants: "use /v1/responses, with previous_response_id",
  threads: "use /v1/responses, with previous_response_id",
  conversations: "use /v1/responses, with previous_response_id",
  "responses/compact": "conversations are not summed up here: send less of it",
  "responses/input_tokens": "tokens are not counted apart: usage of an answer tells them",
};

export const ROUTES_OF_OTHERS: readonly Route[] = Object.entries(REASONS).map(([name, reason]) => ({
  ...{ method: "POST", path: `/v1/${name}`, bodyless: true },
  answer() {
    throw new HttpError(501, "not_implemented", `/v1/${name} is not here: ${reason}`);
  },
}));
