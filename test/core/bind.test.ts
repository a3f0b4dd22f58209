import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, it } from "node:test";

import { bind, refuseTaken } from "../../core/bind.ts";

const deno = process.versions["deno"] !== undefined && "workers need Node, and only they share ports";

describe("refuseTaken", () => {
  it("finds who would share the port as well", { skip: deno }, async () => {
    await using one = createServer();
    await using other = createServer();
    const { port } = await bind(one, { host: "127.0.0.1", port: 0 }, true);
    await bind(other, { host: "127.0.0.1", port }, true);

    await assert.rejects(refuseTaken({ host: "127.0.0.1", port }), {
      message: `Cannot listen on 127.0.0.1:${port}: the port is in use, set FN_PORT to another`,
    });
  });

  it("lets only one process have a port to share, before anybody listens there", { skip: deno }, async () => {
    await using one = createServer();
    await using other = createServer();
    const { port } = await bind(one, { host: "127.0.0.1", port: 0 });
    await new Promise((resolve) => one.close(resolve));

    await refuseTaken({ host: "127.0.0.1", port });

    await assert.rejects(refuseTaken({ host: "127.0.0.1", port }), /the port is in use, set FN_PORT to another/);
    await bind(other, { host: "127.0.0.1", port }, true);
    assert.ok(other.listening);
  });
});
