import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { fuzzGateway } from "../../kiln/fuzz/fuzz-gateway.ts";
import { databaseKinds } from "../../kiln/testing/store-for-tests.ts";

const kinds = await databaseKinds();

describe("requests that nobody would send on purpose", () => {
  for (const { name, skip, create } of kinds) {
    it(`are answered by a gateway on ${name}, and none with a 5xx`, { skip }, async () => {
      await using database = await create();
      const before = process.memoryUsage().rss;

      const { statuses, faults } = await fuzzGateway(database, { from: 1, requests: 800 });

      assert.deepEqual(faults, []);
      // What is found, created, refused, unknown and in conflict: otherwise this tries nothing.
      for (const status of [200, 204, 400, 404, 405, 409]) assert.ok(statuses.has(status), `no ${status}`);
      assert.ok(process.memoryUsage().rss - before < 512 * 2 ** 20);
    });
  }
});
