import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { systemClock } from "../../../core/clock.ts";
import { readSettings } from "../../../core/config.ts";
import { silentLog } from "../../../core/log.ts";
import { openFunctions } from "../../../gateway/functions/open-functions.ts";
import { listen } from "../../../gateway/listen.ts";
import { watchServerCertificate } from "../../../gateway/server-certificate.ts";
import { GATEWAY_SETTINGS } from "../../../gateway/settings.ts";
import { createAuthority, issue } from "../../../kiln/pki.ts";
import { apiForTests } from "../../../kiln/testing/api-for-tests.ts";
import { pkiFolder } from "../../../kiln/testing/pki-folder.ts";

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

  it("believes the API by the authorities of FN_RUNNER_API_CA, and by no others where it is not the system's", async () => {
    await using made = new AsyncDisposableStack();
    const folder = made.use(
      await pkiFolder(await issue(await createAuthority(), { name: "localhost", role: "runner" })),
    );
    const certificate = made.use(await watchServerCertificate(folder.files, { log: silentLog, clock: systemClock }));
    const api = made.use(await apiForTests());
    const listener = made.use(await listen(api, { host: "127.0.0.1", port: 0, drainTimeoutMs: 0, certificate }));
    const { id } = await api.fn((await api.app()).id, { image: "there" });
    const find = async (env: Readonly<Record<string, string>>) => {
      const url = `https://localhost:${listener.port}`;
      await using functions = await open({ FN_RUNNER_API_URL: url, FN_RUNNER_API_RETRIES: "0", ...env });
      return await functions.lookup.find(id, new AbortController().signal);
    };

    const found = await find({ FN_RUNNER_API_CA: folder.files.ca });

    assert.equal(found?.fn.image, "there");
    await assert.rejects(find({}), { code: "store_unavailable" });
  });

  it("starts while the API is away, and has no database of its own", async () => {
    await using functions = await open({ FN_RUNNER_API_URL: "http://127.0.0.1:1", FN_RUNNER_API_RETRIES: "0" });

    assert.equal(functions.store, undefined);
    await assert.rejects(functions.lookup.find("any", new AbortController().signal), { code: "store_unavailable" });
  });
});
