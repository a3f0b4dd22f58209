import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { serveAdmin, type AdminOptions } from "../../core/admin-server.ts";
import { createMetrics } from "../../core/metrics.ts";
import { processMetrics } from "../../core/process-metrics.ts";
import type { Readiness } from "../../core/readiness.ts";

function options(changed: Partial<AdminOptions> = {}): AdminOptions {
  const metrics = createMetrics();
  metrics.counter("fn_calls", "Calls").add(3);
  const readiness = () => ({ ready: true, detail: "as ever" });
  return { host: "127.0.0.1", port: 0, token: "", version: "1.2.3", metrics, readiness, ...changed };
}

async function get(address: string, path: string, init?: RequestInit) {
  const response = await fetch(`http://${address}${path}`, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe("serveAdmin", () => {
  it("serves metrics, version and health", async () => {
    await using admin = await serveAdmin(options());

    const metrics = await get(admin.address, "/metrics");
    assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert.match(metrics.text, /^# TYPE fn_calls counter\nfn_calls 3\n$/m);
    assert.equal((await get(admin.address, "/version")).text, '{"version":"1.2.3"}');
    assert.equal((await get(admin.address, "/livez")).status, 200);
    assert.deepEqual(JSON.parse((await get(admin.address, "/readyz?verbose")).text), {
      ready: true,
      detail: "as ever",
    });
    assert.equal((await get(admin.address, "/debug/pprof")).status, 404);
    assert.equal((await get(admin.address, "/metrics", { method: "POST" })).status, 405);
  });

  it("is not ready with 503 and the reason, and live all the while", async () => {
    let state = async (): Promise<Readiness> => ({ ready: false, detail: "draining" });
    await using admin = await serveAdmin(options({ readiness: () => state() }));

    const answer = await get(admin.address, "/readyz");
    assert.deepEqual([answer.status, answer.text], [503, '{"ready":false,"detail":"draining"}']);
    state = () => Promise.reject(new Error("no idea"));
    assert.equal((await get(admin.address, "/readyz")).status, 500);
    assert.equal((await get(admin.address, "/livez")).status, 200);
  });

  it("asks for its token, where it has one, for all but the two states", async () => {
    await using admin = await serveAdmin(options({ token: "s3cret" }));
    const bearing = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

    for (const path of ["/metrics", "/version"]) {
      assert.equal((await get(admin.address, path)).status, 401);
      assert.equal((await get(admin.address, path, bearing("s3cre"))).status, 401);
      assert.equal((await get(admin.address, path, bearing("s3cret"))).status, 200);
    }
    assert.equal((await get(admin.address, "/livez")).status, 200);
    assert.equal((await get(admin.address, "/readyz")).status, 200);
  });

  it("refuses to listen beyond loopback without a token, and names an address that is taken", async () => {
    await assert.rejects(serveAdmin(options({ host: "0.0.0.0" })), /to everybody: set FN_ADMIN_TOKEN/);
    await using admin = await serveAdmin(options({ host: "0.0.0.0", token: "s3cret" }));
    const port = Number(admin.address.split(":").at(-1));

    await assert.rejects(serveAdmin(options({ port })), /Cannot serve metrics on .*FN_ADMIN_PORT/);
  });

  it("tells what the process takes of the machine, in the units that the names say", () => {
    const metrics = createMetrics();
    processMetrics(metrics);
    const text = metrics.render();

    const value = (name: string) => Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
    assert.ok(value("process_resident_memory_bytes") > 10_000_000);
    assert.ok(Math.abs(value("process_start_time_seconds") - (Date.now() / 1_000 - process.uptime())) < 5);
    assert.ok(value("process_cpu_seconds_total") > 0 && value("process_cpu_seconds_total") < 3_600);
  });
});
