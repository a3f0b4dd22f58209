import { z } from "zod";

import type { ApiAnswer } from "./api-client.ts";
import { ApiFailure } from "./api-failure.ts";

const page = z.object({ items: z.array(z.unknown()).nullish(), next_cursor: z.string().nullish() });

/** Of one list; a server that leads from page to page for ever is not followed further. */
const MOST_PAGES = 10_000;
/** The most that servers give on one. */
const PER_PAGE = "100";

/**
 * Everything of a list, page after page. @param ask as `ApiClient.request` does, for a path below `/v2/`
 * @throws ApiFailure
 */
export async function allPages(
  ask: (path: string) => Promise<ApiAnswer>,
  list: string,
  query: Readonly<Record<string, string>> = {},
): Promise<unknown[]> {
  const items: unknown[] = [];
  let cursor = "";
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const search = new URLSearchParams({ ...query, per_page: PER_PAGE, ...(cursor === "" ? {} : { cursor }) });
    const { status, body } = await ask(`${list}?${search.toString()}`);
    const read = page.safeParse(body);
    if (status !== 200 || !read.success) {
      throw new ApiFailure("broken", `A list of ${list} was answered with ${status}, and is no list`, {
        retryable: false,
      });
    }
    items.push(...(read.data.items ?? []));
    const next = read.data.next_cursor ?? "";
    if (next === "") return items;
    // Fn's cursor to an empty page behind the last full one is no reason to ask for ever.
    if (next === cursor) break;
    cursor = next;
  }
  throw new ApiFailure("broken", `A list of ${list} does not end: its pages lead to each other`, { retryable: false });
}
