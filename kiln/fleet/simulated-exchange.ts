import { pause, type Clock } from "../../core/clock.ts";
import type { AnswerHandler, Exchange, FunctionClient, FunctionRequest } from "../../runner/hot/function-client.ts";
import type { SimulatedContainer } from "./simulated-container.ts";
import type { FunctionHandler, SimulatedAnswer, SimulatedRequest } from "./simulated-function.ts";

/** Speaks to a function that is a handler in this process, as the shipped client does over a socket. */
export function simulatedClient(container: SimulatedContainer, handler: FunctionHandler, clock: Clock): FunctionClient {
  const open = new Set<SimulatedExchange>();
  return {
    send(request, answer) {
      container.open += 1;
      const ended = () => {
        container.open -= 1;
        open.delete(exchange);
      };
      const exchange: SimulatedExchange = new SimulatedExchange(answer, ended);
      open.add(exchange);
      void container.exited.then(() => exchange.abort(exchange.begun ? new Error("other side closed") : refused()));
      void exchange.run(requestOf(request, exchange, container, clock), handler);
      return exchange;
    },
    close() {
      for (const exchange of open) exchange.abort(new Error("The client is destroyed"));
      return Promise.resolve();
    },
  };
}

class SimulatedExchange implements Exchange {
  readonly #answer: AnswerHandler;
  readonly #ended: () => void;
  readonly #aborter = new AbortController();
  begun = false;
  #over = false;
  #resume: () => void = () => {};

  constructor(answer: AnswerHandler, ended: () => void) {
    this.#answer = answer;
    this.#ended = ended;
  }

  resume(): void {
    this.#resume();
  }

  abort(reason: Error): void {
    if (!this.#end()) return;
    this.#answer.failed(reason);
    this.#aborter.abort(reason);
    this.#resume();
  }

  async run(request: SimulatedRequest, handler: FunctionHandler): Promise<void> {
    // A socket never answers before the sender has returned.
    await Promise.resolve();
    if (this.#over) return;
    this.begun = true;
    this.#answer.begun();
    request.container.calls.push(request.callId);
    const answer = await this.#answerOf(request, handler);
    if (this.#over) return;
    this.#answer.head(answer.status ?? 200, answer.headers ?? []);
    try {
      for await (const bytes of chunksOf(answer.body)) {
        if (this.#over) return;
        if (!this.#answer.data(bytes)) await new Promise<void>((resolve) => (this.#resume = resolve));
        if (this.#over) return;
      }
    } catch (error) {
      return this.abort(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#end()) this.#answer.end();
  }

  async #answerOf(request: SimulatedRequest, handler: FunctionHandler): Promise<SimulatedAnswer> {
    try {
      const answer = await handler(request, this.#aborter.signal);
      return typeof answer === "string" ? { body: answer } : answer;
    } catch (error) {
      return { status: 502, body: error instanceof Error ? error.message : String(error) };
    }
  }

  #end(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#ended();
    return true;
  }
}

/** What dialling a dead container's socket comes to. */
function refused(): Error {
  return Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" });
}

function requestOf(
  { headers, body }: FunctionRequest,
  exchange: Exchange,
  container: SimulatedContainer,
  clock: Clock,
): SimulatedRequest {
  const header = (name: string) => headers.find(([own]) => own.toLowerCase() === name.toLowerCase())?.[1];
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      if ("whole" in body) yield body.whole;
      else for await (const pieces of body.stream) yield* pieces;
    } catch (error) {
      // A body that breaks takes its connection with it, whatever the function makes of it.
      exchange.abort(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }
  return {
    callId: header("fn-call-id") ?? "",
    headers,
    header,
    container,
    body: read,
    async text() {
      const chunks: Uint8Array[] = [];
      for await (const bytes of read()) chunks.push(bytes);
      return Buffer.concat(chunks).toString();
    },
    sleep: (ms) => pause(clock, ms),
  };
}

async function* chunksOf(body: SimulatedAnswer["body"] = ""): AsyncGenerator<Uint8Array> {
  if (typeof body === "string" || body instanceof Uint8Array) {
    if (body.length > 0) yield Buffer.from(body);
    return;
  }
  yield* body;
}
