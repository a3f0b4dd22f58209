import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseRunnerAddress, staticPool } from "../../../gateway/runnerpool/static-pool.ts";
import { callFor } from "../../../kiln/testing/call-for.ts";
import { collectedCall } from "../../../kiln/testing/collected-call.ts";
import { FakeRunner } from "../../../kiln/testing/fake-runner.ts";

const PKI = { ca: "ca", cert: "cert", key: "key" };

describe("staticPool", () => {
  it("makes its runners with the factory it is given, in the order of the list", async () => {
    const made: unknown[] = [];
    const addresses = [
      parseRunnerAddress("10.0.0.1:9190", "kiln-runner"),
      parseRunnerAddress("big=10.0.0.2:9190", "kiln-runner"),
    ];

    const pool = staticPool(addresses, PKI, (address, certCommonName, pki) => {
      made.push([address, certCommonName, pki]);
      return new FakeRunner(address);
    });
    const runners = await pool.runners(collectedCall(callFor("fn")).runnerCall, new AbortController().signal);

    assert.deepEqual(made, [
      ["10.0.0.1:9190", "kiln-runner", PKI],
      ["10.0.0.2:9190", "big", PKI],
    ]);
    assert.deepEqual(
      runners.map(({ address }) => address),
      ["10.0.0.1:9190", "10.0.0.2:9190"],
    );
  });
});

describe("parseRunnerAddress", () => {
  it("takes names, addresses and IPv6 in brackets", () => {
    assert.equal(parseRunnerAddress("runner.internal:1", "n").address, "runner.internal:1");
    assert.equal(parseRunnerAddress("[::1]:9190", "n").address, "[::1]:9190");
  });

  for (const text of ["", "host", "host:", ":9190", "host:0", "host:65536", "http://host:1", "a b:1", "=host:1"]) {
    it(`refuses "${text}", saying what it expected`, () => {
      assert.throws(() => parseRunnerAddress(text, "n"), /expected host:port or name=host:port/);
    });
  }
});
