import { ERROR_CODES, type Blame, type Component, type ErrorCode } from "./error-codes.ts";

interface CallErrorOptions extends ErrorOptions {
  /** Replaces the table's status: a registry's own 4xx, an overrider's HTTPException. */
  readonly status?: number;
  /** The function's last lines of stderr, for its owner. */
  readonly stderrTail?: string;
}

/** A failed call, as its caller may see it. The true reason stays in `cause`, for the log. */
export class CallError extends Error {
  override readonly name = "CallError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly stderrTail: string | undefined;

  constructor(code: ErrorCode, message: string = ERROR_CODES[code].text, options?: CallErrorOptions) {
    super(message, options);
    this.code = code;
    this.status = options?.status ?? ERROR_CODES[code].status;
    this.stderrTail = options?.stderrTail;
  }

  get blame(): Blame {
    return ERROR_CODES[this.code].blame;
  }

  get component(): Component {
    return ERROR_CODES[this.code].component;
  }

  /** Whether the same request may do better later, unchanged. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  /** Turns anything thrown into a CallError, once, at the edge of a module. */
  static from(reason: unknown, otherwise: ErrorCode = "internal"): CallError {
    if (reason instanceof CallError) return reason;
    return new CallError(otherwise, undefined, { cause: reason });
  }
}
