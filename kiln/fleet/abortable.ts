/** The response as `fetch` would give it: its body breaks when the signal aborts. */
export function abortable(response: Response, signal: AbortSignal | null | undefined): Response {
  const { status, headers, body } = response;
  if (!signal || body === null) return response;
  const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const wrapped = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const left = () => {
          controller.error(signal.reason);
          reader.cancel().catch(() => {});
        };
        if (signal.aborted) left();
        else signal.addEventListener("abort", left, { once: true });
      },
      async pull(controller) {
        const { done, value } = await reader.read();
        if (signal.aborted) return;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return new Response(wrapped, { status, headers });
}
