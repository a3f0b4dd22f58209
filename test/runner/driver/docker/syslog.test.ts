import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";

import { systemClock } from "../../../../core/clock.ts";
import { silentLog } from "../../../../core/log.ts";
import { buildExampleImages } from "../../../../examples/functions/build.ts";
import { createAuthority, issue } from "../../../../kiln/pki.ts";
import { dockerOrSkip } from "../../../../kiln/testing/docker.ts";
import { driverBench } from "../../../../kiln/testing/driver/driver-bench.ts";
import { taskFor } from "../../../../kiln/testing/task-for.ts";
import { dockerDriver } from "../../../../runner/driver/docker/docker-driver.ts";
import { createGuard } from "../../../../runner/driver/docker/guard.ts";
import type { Sandbox } from "../../../../runner/driver/docker/sandbox.ts";
import { syslogOptions } from "../../../../runner/driver/docker/syslog.ts";

const { engine, skip } = await dockerOrSkip();

describe("syslogOptions", () => {
  it("sends nothing anywhere without an address", () => {
    assert.deepEqual(syslogOptions(taskFor("probe")), { Type: "none", Config: {} });
  });

  it("takes udp, tcp and TLS, and no socket of the Docker host's", () => {
    for (const syslogUrl of ["udp://a:514", "tcp://a:514", "tcp+tls://a:6514"]) {
      assert.equal(syslogOptions(taskFor("probe", { syslogUrl })).Config["syslog-address"], syslogUrl);
    }
    for (const syslogUrl of ["unix:///dev/log", "unixgram:///dev/log", "tcp://", "http://a", "a:514"]) {
      assert.throws(() => syslogOptions(taskFor("probe", { syslogUrl })), { code: "syslog_unavailable" });
    }
  });

  it("leaves nothing of an id for Docker to read as a template", () => {
    const { Config } = syslogOptions(taskFor("probe", { syslogUrl: "udp://a:1", appId: "{{.Name}}", fnId: "f/n" }));

    assert.equal(Config["tag"], "app_id=__.Name__,fn_id=f_n");
  });

  it("names the authorities of a TLS syslog alone", () => {
    const config = (syslogUrl: string) => syslogOptions(taskFor("probe", { syslogUrl }), "/ca.crt").Config;

    assert.equal(config("tcp+tls://a:1")["syslog-tls-ca-cert"], "/ca.crt");
    assert.equal(config("tcp://a:1")["syslog-tls-ca-cert"], undefined);
  });
});

describe("an app's syslog", { skip, timeout: 120_000 }, () => {
  before(() => buildExampleImages(engine, ["probe"]));

  const bench = (sandbox: Partial<Sandbox> = {}) =>
    driverBench(
      dockerDriver({
        docker: engine,
        installation: { id: `syslog-${process.pid}`, runnerId: "driver", bootId: "b1" },
        guard: createGuard(),
        clock: systemClock,
        log: silentLog,
        sandbox,
      }),
    );

  /** Resolves with what the syslog got once it got `text`. */
  async function listening(t: TestContext, server: Server, text: string) {
    let got = "";
    const enough = Promise.withResolvers<string>();
    const take = (socket: Socket) => {
      t.after(() => socket.destroy());
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        got += bytes.toString();
        if (got.includes(text)) enough.resolve(got);
      });
    };
    server.on("setSecureContext" in server ? "secureConnection" : "connection", take);
    server.listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    return { port: (server.address() as AddressInfo).port, received: enough.promise };
  }

  it("gets what its functions write, over tcp", async (t) => {
    const syslog = await listening(t, createTcpServer(), "to the syslog");
    await using own = await bench();
    await using probe = await own.start(taskFor("probe", { syslogUrl: `tcp://127.0.0.1:${syslog.port}` }));

    await probe.call({ stdout: ["to the syslog"] });

    assert.match(await syslog.received, /app_id=app,fn_id=[\w.-]+.*to the syslog/);
  });

  it("gets it over TLS, if it is vouched for by the operator's authority", async (t) => {
    const directory = await mkdtemp(join(tmpdir(), "kiln-syslog-"));
    t.after(() => rm(directory, { recursive: true }));
    const authority = await createAuthority();
    const syslogCa = join(directory, "ca.crt");
    await writeFile(syslogCa, authority.cert);
    const pki = await issue(authority, { name: "localhost", role: "runner" });
    const syslog = await listening(t, createTlsServer(pki), "secret words");
    const task = taskFor("probe", { syslogUrl: `tcp+tls://localhost:${syslog.port}` });

    await using own = await bench({ syslogCa });
    await using probe = await own.start(task);
    await probe.call({ stderr: ["secret words"] });
    assert.match(await syslog.received, /secret words/);

    await using unbelieving = await bench();
    await assert.rejects(unbelieving.start(task), { code: "syslog_unavailable", message: /certificate/ });
  });
});
