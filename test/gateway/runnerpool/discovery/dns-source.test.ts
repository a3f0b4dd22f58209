import assert from "node:assert/strict";
import { after, describe, it } from "node:test";

import { createLog } from "../../../../core/log.ts";
import { dnsSource } from "../../../../gateway/runnerpool/discovery/dns-source.ts";
import type { RunnerSource } from "../../../../gateway/runnerpool/discovery/runner-source.ts";
import { parseRunnerWord, type DnsWord } from "../../../../gateway/runnerpool/discovery/runner-words.ts";
import { dnsServer, type DnsServer } from "../../../../kiln/testing/dns-server.ts";
import { eventually } from "../../../../kiln/testing/eventually.ts";
import { VirtualClock } from "../../../../kiln/testing/virtual-clock.ts";

// Deno ends a test whose event loop is empty.
const alive = setInterval(() => {}, 1_000);
after(() => clearInterval(alive));

async function sourceOf(word: string, server: DnsServer) {
  const clock = new VirtualClock();
  const lines: string[] = [];
  const log = createLog({ write: (line) => void lines.push(line) });
  const options = { server: server.address, everyMs: 5_000, timeoutMs: 100, clock, log };
  const source = await dnsSource(parseRunnerWord(word, "kiln-runner") as DnsWord, options);
  return { clock, lines, source };
}

const addressesOf = ({ runners }: RunnerSource) => runners.map(({ address }) => address);

describe("dnsSource", () => {
  it("finds a runner behind each A and each AAAA record", async () => {
    await using server = await dnsServer();
    server.zone.set("runners.test", [
      { type: "A", address: "10.0.0.2" },
      { type: "A", address: "10.0.0.1" },
      { type: "AAAA", address: "2001:db8::1" },
    ]);

    const { source } = await sourceOf("kiln=dns://runners.test:9190;group=gpu", server);
    await using _ = source;

    assert.deepEqual(addressesOf(source), ["10.0.0.1:9190", "10.0.0.2:9190", "[2001:db8::1]:9190"]);
    assert.deepEqual(source.runners[0], {
      address: "10.0.0.1:9190",
      certCommonName: "kiln",
      labels: { group: "gpu" },
    });
  });

  it("takes ports from SRV records, and the name in the certificate from their targets where it is told to", async () => {
    await using server = await dnsServer();
    server.zone.set("_kiln._tcp.test", [
      { type: "SRV", target: "one.test", port: 9191 },
      { type: "SRV", target: "two.test", port: 9192 },
    ]);
    server.zone.set("one.test", [{ type: "A", address: "10.0.0.1" }]);
    server.zone.set("two.test", [{ type: "A", address: "10.0.0.2" }]);

    const { source } = await sourceOf("{host}=dns+srv://_kiln._tcp.test", server);
    await using _ = source;

    assert.deepEqual(
      source.runners.map(({ address, certCommonName }) => [address, certCommonName]),
      [
        ["10.0.0.1:9191", "one.test"],
        ["10.0.0.2:9192", "two.test"],
      ],
    );
  });

  it("looks again when the records are out of date, and tells of what is new", async () => {
    await using server = await dnsServer();
    server.zone.set("runners.test", [{ type: "A", address: "10.0.0.1", ttl: 2 }]);
    const { clock, source } = await sourceOf("dns://runners.test:1", server);
    await using _ = source;
    let told = 0;
    source.onChange(() => (told += 1));
    server.zone.set("runners.test", [{ type: "A", address: "10.0.0.9", ttl: 2 }]);
    const { asked } = server;

    await clock.run(1_900);
    assert.equal(server.asked, asked, "they hold for 2 s");
    await clock.run(200);

    await eventually(() => assert.deepEqual(addressesOf(source), ["10.0.0.9:1"]));
    assert.equal(told, 1);
  });

  for (const [trouble, cause] of [
    ["a name that is gone", (server: DnsServer) => server.zone.clear()],
    ["a server that does not answer", (server: DnsServer) => void (server.silent = true)],
  ] as const) {
    it(`keeps what it knows through ${trouble}, says so, and goes on looking`, async () => {
      await using server = await dnsServer();
      const records = [{ type: "A", address: "10.0.0.1", ttl: 60 }] as const;
      server.zone.set("runners.test", records);
      const { clock, lines, source } = await sourceOf("dns://runners.test:1", server);
      await using _ = source;

      cause(server);
      await clock.run(5_000);
      await eventually(() => assert.match(lines.join(""), /could not be looked up, those known stay .*known=1/));
      assert.deepEqual(addressesOf(source), ["10.0.0.1:1"]);

      server.silent = false;
      server.zone.set("runners.test", [...records, { type: "A", address: "10.0.0.2" }]);
      await eventually(async () => {
        await clock.run(5_000);
        assert.equal(source.runners.length, 2);
      });
    });
  }

  it("begins with nobody where the first look-up fails", async () => {
    await using server = await dnsServer();

    const { source, lines } = await sourceOf("dns://nobody.test:1", server);
    await using _ = source;

    assert.deepEqual(source.runners, []);
    assert.match(lines.join(""), /could not be looked up/);
  });
});
