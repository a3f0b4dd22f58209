import { LogSource, type LogLine } from "../../gen/kiln/runner/v1/runner_pb.ts";
import type { Write } from "../command.ts";
import { connectRunner, connectUsage, readRunnerArgs } from "./connect.ts";

export const logsUsage = `npm run kiln -- logs [RUNNER] [--app ID] [--fn ID] [--call ID]

  Prints what functions write on a runner from now on, until Ctrl-C.
${connectUsage}  --app, --fn, --call
           lines of this app, function or call only
`;

const FILTERS = {
  app: { type: "string", default: "" },
  fn: { type: "string", default: "" },
  call: { type: "string", default: "" },
} as const;

/** @param stop ends it @throws Error if the runner cannot be asked */
export async function logs(args: readonly string[], directory: string, stop: AbortSignal, write: Write): Promise<void> {
  const read = readRunnerArgs(args, FILTERS, directory);
  const { app, fn, call } = read.values as { readonly [Name in keyof typeof FILTERS]: string };
  using runner = await connectRunner(read);
  try {
    for await (const { dropped, lines } of runner.client.streamLogs(
      { appId: app, fnId: fn, callId: call },
      { signal: stop },
    )) {
      if (dropped > 0n) write(`… ${dropped} lines were lost: they came faster than they were read\n`);
      for (const line of lines) write(`${shown(line)}\n`);
    }
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}

function shown({ atMs, fnId, callId, between, containerId, source, text, partial }: LogLine): string {
  const time = new Date(Number(atMs)).toISOString();
  const whose = callId === "" ? `${containerId.slice(0, 12)}${between ? " (between calls)" : ""}` : callId;
  return `${time} ${fnId} ${whose} ${source === LogSource.STDERR ? "err" : "out"} ${text}${partial ? "…" : ""}`;
}
