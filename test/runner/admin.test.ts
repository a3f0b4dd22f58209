import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CallError } from "../../core/call-error.ts";
import { readSettings } from "../../core/config.ts";
import { silentLog } from "../../core/log.ts";
import { createMetrics } from "../../core/metrics.ts";
import { createAuthority } from "../../kiln/pki.ts";
import { callFor } from "../../kiln/testing/call-for.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { runnerProcess } from "../../kiln/testing/main-process.ts";
import { offerTo } from "../../kiln/testing/offer.ts";
import { processRunner } from "../../kiln/testing/process-runner.ts";
import { runnerVitals, serveRunnerAdmin } from "../../runner/admin.ts";
import { RUNNER_SETTINGS } from "../../runner/settings.ts";

const authority = await createAuthority();

/** The value of a time series. */
function valueOf(text: string, series: string): number {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  assert.ok(line !== undefined, `${series} is not in:\n${text}`);
  return Number(line.slice(series.length + 1));
}

describe("a runner's admin listener", { timeout: 60_000 }, () => {
  it("serves its metrics and says that it is ready", async () => {
    await using one = await runnerProcess(authority, "kiln-runner", "0", { FN_ADMIN_PORT: "0" });
    const address = /"admin":"([^"]+)"/.exec(one.output())?.[1] ?? "";

    const ready = await fetch(`http://${address}/readyz`);
    assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, detail: "takes calls" }]);
    const text = await (await fetch(`http://${address}/metrics`)).text();
    assert.equal(valueOf(text, "fn_running"), 0);
    assert.ok(valueOf(text, "fn_util_mem_avail") > 1_000_000, "bytes");
  });

  it("says what gateways are told while its driver is in trouble, and asks nothing for it", async () => {
    const availability = { trouble: undefined as CallError | undefined, observe: () => () => {} };
    await using runner = await processRunner({});
    const settings = readSettings(RUNNER_SETTINGS, { FN_ADMIN_PORT: "0" });
    const vitals = runnerVitals(runner, { availability }, createMetrics());
    await using admin = await serveRunnerAdmin(settings, vitals, { log: silentLog, shared: false });
    const ready = async () => {
      const response = await fetch(`http://${admin?.address}/readyz`);
      return [response.status, await response.json()];
    };
    assert.deepEqual(await ready(), [200, { ready: true, detail: "takes calls" }]);

    availability.trouble = new CallError("docker_unavailable", "Docker cannot be reached: it hangs");

    assert.deepEqual(await ready(), [503, { ready: false, detail: "Docker cannot be reached: it hangs" }]);
  });

  it("is not there unless it is asked for, and not beyond loopback without a token", async () => {
    await using one = await runnerProcess(authority, "kiln-runner");
    assert.doesNotMatch(one.output(), /"admin"/);

    const everybody = runnerProcess(authority, "kiln-runner", "0", { FN_ADMIN_PORT: "0", FN_ADMIN_BIND: "0.0.0.0" });
    await assert.rejects(everybody, /Cannot serve metrics on 0\.0\.0\.0 to everybody: set FN_ADMIN_TOKEN/);
  });
});

describe("a runner's metrics", { timeout: 60_000 }, () => {
  it("tell calls by their outcome, containers by their state, and times in the units of their names", async () => {
    const metrics = createMetrics();
    await using runner = await processRunner({ metrics, limits: { freezeIdleMs: 100 } });
    const labels = '{app_id="app",fn_id="probe",image_name="probe"}';
    const probe = (orders: object) => callFor("probe", { headers: [["Probe-Control", JSON.stringify(orders)]] });

    const slow = offerTo(runner, probe({ sleepTime: 300 }));
    await eventually(() => assert.equal(valueOf(metrics.render(), "fn_running"), 1));
    assert.equal(valueOf(metrics.render(), `fn_container_busy_total${labels}`), 1);
    const { finish } = await slow.outcome;
    assert.equal(valueOf(metrics.render(), `fn_container_idle_total${labels}`), 1);
    await eventually(() => assert.equal(valueOf(metrics.render(), `fn_container_paused_total${labels}`), 1));
    await offerTo(runner, probe({ httpStatus: 502 })).outcome;
    await offerTo(runner, callFor("probe", { memoryMiB: 4_096 })).outcome;

    const text = metrics.render();
    assert.deepEqual(
      ["fn_calls", "fn_completed", "fn_errors", "fn_running", "fn_queued"].map((name) => valueOf(text, name)),
      [3, 1, 2, 0, 0],
    );
    assert.equal(valueOf(text, "fn_util_mem_used"), 128 * 1_024 * 1_024);
    // What is named for seconds has seconds: Fn's have milliseconds there.
    const startSeconds = valueOf(text, "fn_container_start_duration_seconds_sum");
    assert.equal(startSeconds, (finish?.timings.startMs ?? 0) / 1_000);
    assert.ok(startSeconds > 0 && startSeconds < 5, `${startSeconds} s`);
  });
});
