import type { CallId } from "../../core/call.ts";
import type { OutputStream } from "../driver/driver.ts";

/** One line of what a function wrote. */
export interface FunctionLine extends LineOrigin {
  /** When it was read, milliseconds since 1970. */
  readonly atMs: number;
  readonly callId: CallId | undefined;
  /** No call ran: the container was starting, or idle. */
  readonly between: boolean;
  readonly stream: OutputStream;
  readonly text: string;
  /**
   * It had not ended, and goes on with the next one of this container, stream and call. Where another call began
   * meanwhile there may be none, and where Docker was away that one may be another line.
   */
  readonly partial: boolean;
}

/** The container that wrote it. */
export interface LineOrigin {
  readonly appId: string;
  readonly fnId: string;
  readonly image: string;
  readonly containerId: string;
}
