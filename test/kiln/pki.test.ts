import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";

import type { PkiData } from "../../core/pki.ts";
import { type Authority, createAuthority, issue } from "../../kiln/pki.ts";
import { handshake } from "../../kiln/testing/tls-handshake.ts";

const DAY_MS = 86_400_000;

async function partiesOf(authority: Authority): Promise<{ gateway: PkiData; runner: PkiData }> {
  return {
    gateway: await issue(authority, { name: "kiln-gateway", role: "gateway" }),
    runner: await issue(authority, { name: "kiln-runner", role: "runner" }),
  };
}

describe("issue", () => {
  it("makes certificates that both ends of a connection accept", async () => {
    const { gateway, runner } = await partiesOf(await createAuthority());

    const { serverNames, clientNames } = await handshake(runner, gateway);

    assert.deepEqual(serverNames, ["kiln-runner", "localhost", "127.0.0.1"]);
    assert.deepEqual(clientNames, ["kiln-gateway"]);
  });

  it("makes certificates that are refused in any other place", async () => {
    const { gateway, runner } = await partiesOf(await createAuthority());
    const others = await partiesOf(await createAuthority());
    const trusting = { ...others.gateway, ca: gateway.ca };

    await assert.rejects(handshake(runner, { ca: runner.ca }), /server":"UNABLE_TO_GET_ISSUER_CERT/);
    await assert.rejects(handshake(runner, trusting), /server":"UNABLE_TO_VERIFY_LEAF_SIGNATURE/);
    await assert.rejects(
      handshake(others.runner, gateway),
      /client":"(?:SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/,
    );
    await assert.rejects(handshake(runner, runner), /server":"(?:INVALID_PURPOSE|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/);
    await assert.rejects(
      handshake(gateway, gateway, "kiln-gateway"),
      /client":"(?:INVALID_PURPOSE|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/,
    );
    await assert.rejects(handshake(runner, gateway, "other-runner"), /client":"ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("makes certificates that are refused once they have ended", async () => {
    const nowMs = Date.now() - 10 * DAY_MS;
    const authority = await createAuthority({ nowMs });
    const { gateway } = await partiesOf(authority);
    const ended = await issue(authority, { name: "kiln-runner", role: "runner", validDays: 5, nowMs });

    await assert.rejects(handshake(ended, gateway), /client":"(?:CERT_HAS_EXPIRED|UNABLE_TO_VERIFY_LEAF_SIGNATURE)/);
  });

  it("gives every authority a subject and every certificate a serial number of its own", async () => {
    const authorities = await Promise.all([createAuthority(), createAuthority()]);
    const [first] = authorities;
    const { gateway, runner } = await partiesOf(first);

    const subjects = authorities.map(({ cert }) => new X509Certificate(cert).subject);
    const serials = [first, gateway, runner].map(({ cert }) => new X509Certificate(cert).serialNumber);

    assert.equal(new Set(subjects).size, 2);
    assert.equal(new Set(serials).size, 3);
    for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
  });

  it("begins a day back and does not outlive its authority", async () => {
    const nowMs = Date.parse("2030-06-15T12:00:00Z");
    const authority = await createAuthority({ validDays: 100, nowMs });

    const pki = await issue(authority, { name: "kiln-runner", role: "runner", validDays: 365, nowMs });

    const { validFrom, validTo } = new X509Certificate(pki.cert);
    assert.equal(Date.parse(validFrom), nowMs - DAY_MS);
    assert.equal(Date.parse(validTo), nowMs + 100 * DAY_MS);
  });

  it("refuses what could not work", async () => {
    const [authority, other] = await Promise.all([createAuthority(), createAuthority()]);
    const { runner } = await partiesOf(authority);
    const ended = await createAuthority({ validDays: 1, nowMs: Date.now() - 10 * DAY_MS });
    const named = (name: string) => issue(authority, { name, role: "runner" });

    for (const name of ["", "a b", "-a", "a..b", "a,CN=b", "é", "a".repeat(65)]) {
      await assert.rejects(named(name), /^Error: Cannot issue a certificate for ".*": expected letters, digits/);
    }
    const valid = { name: "kiln-runner", role: "runner" } as const;
    await assert.rejects(issue({ ...authority, key: other.key }, valid), /its key is another's$/);
    await assert.rejects(issue(runner, valid), /Cannot sign with "CN=kiln-runner": it is no authority$/);
    await assert.rejects(issue(ended, valid), /it is valid until .* GMT$/);
  });
});
