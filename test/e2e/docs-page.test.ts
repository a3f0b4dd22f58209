import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { listen } from "../../gateway/listen.ts";
import { apiForTests } from "../../kiln/testing/api-for-tests.ts";
import { chromiumOrSkip, openPage } from "../../kiln/testing/chromium.ts";

const skip = await chromiumOrSkip();

describe("/docs in a browser without internet", { skip, timeout: 60_000 }, () => {
  it("shows every operation of the API, and breaks no policy of its own", async () => {
    await using api = await apiForTests();
    await using listener = await listen({ fetch: (request) => api.fetch(request) }, { host: "127.0.0.1", port: 0 });
    const { paths } = (await api.get("GET", "/openapi.json")) as { paths: Record<string, object> };

    const { dom, console } = await openPage(`http://${listener.address}/docs`);

    const shown = [...dom.matchAll(/<summary>.*?<\/summary>/gs)].map(([summary]) => summary.replace(/<[^>]*>/g, " "));
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations)) {
        const found = shown.some((text) => text.includes(method.toUpperCase()) && text.includes(`${path} `));
        assert.ok(found, `${method} ${path} is in ${shown.join("|")}`);
      }
    }
    assert.deepEqual(console, []);
  });
});
