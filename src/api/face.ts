import type { Asking, BegunAnswer } from "./answers.ts";
import type { HttpError } from "./errors.ts";

/** A face is a protocol that clients speak, over the conversation model: requests in, replies out, without a socket. */

export interface Face {
  /** what its paths begin with: errors there are told in its own way */
  readonly below: readonly string[];
  readonly routes: readonly Route[];
  /** an error as its clients read it */
  errorBody(error: HttpError, requestId: string): object;
}

export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** with parameters as Hono has them, such as `/v1/models/:name{.+}` */
  readonly path: string;
  /** a POST whose body, if it has one, is not read */
  readonly bodyless?: true;
  /** @throws what `asHttpError` takes */
  answer(asked: Asked): Reply | Promise<Reply>;
}

export interface Asked extends Asking {
  /** parsed JSON, within the bounds of a body; undefined where the method has none */
  readonly body: unknown;
  /** of the path, decoded */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** @param name in lower case */
  header(name: string): string | undefined;
  /** the API key that the client gave; null: the endpoint has none */
  readonly key: string | null;
  /** tells the operator, once for each, that fields of the body mean nothing here */
  readonly ignored: (fields: readonly string[]) => void;
}

/** One server-sent event. */
export interface ServerEvent {
  /** default: it has no name */
  readonly name?: string;
  /** written as JSON */
  readonly data: unknown;
}

/** Generators may be ended by an error, also before their first value: that is then a reply with a status of its own. */
export type Reply = (
  | { readonly kind: "object"; readonly body: unknown }
  | { readonly kind: "text"; readonly text: string; readonly type: string }
  | {
      readonly kind: "events";
      readonly events: AsyncGenerator<ServerEvent, void, undefined>;
      /** the data of the last event of a stream that was not ended by an error; null: none */
      readonly last: string | null;
      /** what ends a stream whose status has gone out */
      failed(error: HttpError): ServerEvent;
    }
  /** JSON, an object a line */
  | { readonly kind: "lines"; readonly lines: AsyncGenerator<object, void, undefined> }
) & {
  /** of an answer */
  readonly begun?: Pick<BegunAnswer, "relaxed" | "answeredBy"> & {
    /** besides what is relaxed: the client is told, and the log is not */
    readonly dropped?: readonly string[];
  };
};
