import type { Answers } from "./answers.ts";
import type { ErrorBody, HttpError } from "./errors.ts";
import type { Face, Reply, Route } from "./face.ts";

/** How the endpoint is, for who runs it. */

export interface StatusOptions {
  readonly answers: Answers;
  /** name and version of this software */
  readonly software: string;
  /** what is counted, for who scrapes it */
  readonly exposition: () => Promise<{ readonly type: string; readonly text: string }>;
}

export class Status implements Face {
  readonly below = [];
  readonly routes: readonly Route[] = [
    { method: "GET", path: "/health", answer: () => this.health() },
    { method: "GET", path: "/metrics", answer: () => this.metrics() },
  ];
  private readonly options: StatusOptions;

  constructor(options: StatusOptions) {
    this.options = options;
  }

  errorBody(error: HttpError): ErrorBody {
    return error.body;
  }

  private health(): Reply {
    const { software, answers } = this.options;
    return { kind: "object", body: { status: "ok", software, ...answers.health } };
  }

  private async metrics(): Promise<Reply> {
    return { kind: "text", ...(await this.options.exposition()) };
  }
}
