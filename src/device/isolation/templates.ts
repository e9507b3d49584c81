import { TemplateError, templateError } from "../../text/chat-template.ts";
import type { TemplateVariables } from "../../text/templates/render.ts";
import { CRASHED, IsolatedChild, LATE } from "./child.ts";
import { ISOLATION_LIMITS, type IsolationLimits } from "./limits.ts";

const NOTHING = {
  kind: "template",
  source: "",
  variables: { messages: [], add_generation_prompt: true, bos_token: "", eos_token: "" },
  mostCharacters: 0,
} as const;

/**
 * Renders chat templates in a process of its own: a template is a program out of a model file, or a cloud's. One that
 * loops or grows costs its process, and the next rendering gets another. One rendering at a time, in their order.
 */
export class IsolatedTemplates {
  private readonly limits: IsolationLimits;
  private child: IsolatedChild | null = null;
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private closed = false;

  constructor(limits: IsolationLimits = ISOLATION_LIMITS) {
    this.limits = limits;
  }

  /** Starts the process ahead of the first rendering, which does not wait for it then. */
  warm(): void {
    void this.render(NOTHING.source, NOTHING.variables).catch(() => {});
  }

  /** @throws TemplateError, also for a template that takes too long, too much memory or makes too much text */
  readonly render = async (source: string, variables: TemplateVariables): Promise<string> => {
    const { templateCharacters, templatesWaiting } = this.limits;
    if (source.length > templateCharacters) throw templateError(`it has ${source.length} characters`);
    if (this.waiting >= templatesWaiting) throw templateError(`${this.waiting} others wait to be rendered`);
    this.waiting++;
    const turn = this.last.then(() => this.renderNow(source, variables));
    this.last = turn.catch(() => {});
    return turn.finally(() => this.waiting--);
  };

  /** Ends the process, and what it renders. */
  close(): void {
    this.closed = true;
    this.child?.close();
  }

  /** A process that is there: the time that it takes to start is none of a template's. */
  private async started(): Promise<IsolatedChild> {
    const { templateBytes, templateHeapMegabytes, templateStartMs } = this.limits;
    if (this.child && !this.child.gone) return this.child;
    const bounds = { memoryBytes: templateBytes, heapMegabytes: templateHeapMegabytes };
    const child = new IsolatedChild({ program: "templates", ...bounds });
    this.child = child;
    await child.ask<"template">(NOTHING, templateStartMs);
    return child;
  }

  private async renderNow(source: string, variables: TemplateVariables): Promise<string> {
    const { templateMs, promptCharacters } = this.limits;
    if (this.closed) throw templateError("the edge was closed");
    const child = await this.started();
    child.ref();
    const request = { kind: "template", source, variables, mostCharacters: promptCharacters } as const;
    const outcome = await child.ask(request, templateMs);
    child.unref();
    if (outcome.ok) return outcome.value;
    const { code, message } = outcome.failure;
    if (code === "template") throw new TemplateError(code, message);
    throw templateError(code === LATE || code === CRASHED ? message : `rendering failed: ${message}`);
  }
}
