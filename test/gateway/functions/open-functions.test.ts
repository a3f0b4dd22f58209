import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readSettings } from "../../../core/config.ts";
import { silentLog } from "../../../core/log.ts";
import { openFunctions } from "../../../gateway/functions/open-functions.ts";
import { GATEWAY_SETTINGS } from "../../../gateway/settings.ts";

const open = (env: Readonly<Record<string, string>>) => openFunctions(readSettings(GATEWAY_SETTINGS, env), silentLog);

describe("openFunctions", () => {
  const rows: readonly (readonly [env: Readonly<Record<string, string>>, message: RegExp])[] = [
    [{ FN_DB_URL: "sqlite3:no.db" }, /^Error: FN_RUNNER_API_URL and FN_DB_URL are both set: .*, unset the other$/],
    [{ FN_FUNCTIONS_FILE: "no.yaml" }, /^Error: FN_RUNNER_API_URL and FN_FUNCTIONS_FILE are both set/],
    [{ FN_RUNNER_API_URL: "fn-api:8080" }, /"fn-api:8080" is no address of an API, expected one such/],
    [{ FN_RUNNER_API_CA: "no.pem" }, /FN_RUNNER_API_CA is "no.pem", expected a readable PEM file/],
  ];
  for (const [env, message] of rows) {
    it(`refuses ${JSON.stringify(env)} where another API is read`, async () => {
      await assert.rejects(open({ FN_RUNNER_API_URL: "http://127.0.0.1:1", ...env }), message);
    });
  }

  it("starts while the API is away, and has no database of its own", async () => {
    await using functions = await open({ FN_RUNNER_API_URL: "http://127.0.0.1:1", FN_RUNNER_API_RETRIES: "0" });

    assert.equal(functions.store, undefined);
    await assert.rejects(functions.lookup.find("any", new AbortController().signal), { code: "store_unavailable" });
  });
});
