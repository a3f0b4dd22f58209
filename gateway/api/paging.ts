import { CallError } from "../../core/call-error.ts";
import type { Page } from "../store/store.ts";

const DEFAULT_SIZE = 30;
const LARGEST_SIZE = 100;

/** A name, or a name and an id: no name has a slash. */
type Position = NonNullable<Page["after"]>;

/** Fn's rules: what is no number, or none above 0, is 30, and 100 is the most. */
export function pageSize(perPage: string | undefined): number {
  const size = /^\d{1,15}$/.test(perPage ?? "") ? Number(perPage) : 0;
  return size > 0 ? Math.min(size, LARGEST_SIZE) : DEFAULT_SIZE;
}

export function writeCursor({ name, id }: Position): string {
  return Buffer.from(id === undefined ? name : `${name}/${id}`).toString("base64url");
}

/** @throws CallError `invalid_cursor` for what `writeCursor` cannot have made */
export function readCursor(cursor: string | undefined): Page["after"] {
  if (cursor === undefined || cursor === "") return undefined;
  const text = Buffer.from(cursor, "base64url").toString();
  // Go's encoder, which may be asked for padding.
  const again = Buffer.from(text).toString("base64url");
  if (text === "" || again !== cursor.replace(/=+$/, "")) {
    throw new CallError("invalid_cursor", "Invalid cursor: expected the next_cursor of an answer");
  }
  const slash = text.indexOf("/");
  return slash < 0 ? { name: text } : { name: text.slice(0, slash), id: text.slice(slash + 1) };
}
