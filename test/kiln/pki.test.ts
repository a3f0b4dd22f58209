import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";

import { systemClock } from "../../core/clock.ts";
import { certificateNames, loadPki, type PkiData } from "../../core/pki.ts";
import { ensureDevPki } from "../../kiln/dev-pki.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";

const DAY_MS = 86_400_000;

/** Connects a client to a server that asks for a certificate; resolves to both sides' view of the other. */
async function handshake(
  server: PkiData,
  client: PkiData | { readonly ca: string },
  servername = "kiln-runner",
): Promise<{ serverNames: readonly string[]; clientNames: readonly string[] }> {
  const listener = createServer({ ...server, requestCert: true, rejectUnauthorized: true });
  const refusals: Record<string, unknown> = {};
  const refuse = (side: string) => (error: NodeJS.ErrnoException) => void (refusals[side] = error.code);
  listener.on("tlsClientError", refuse("server"));
  const greeted = once(listener, "secureConnection").then(([socket]: TLSSocket[]) => {
    const peer = socket?.getPeerX509Certificate();
    socket?.on("error", () => {}).end("hello");
    return peer;
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", servername, ...client });
  try {
    // Under TLS 1.3 a client is told that it was refused only when it reads.
    await new Promise((resolve, reject) => {
      socket.once("data", resolve).once("error", refuse("client"));
      socket.once("close", () => reject(new Error(`Refused: ${JSON.stringify(refusals)}`)));
    });
    return { serverNames: namesOf(socket.getPeerX509Certificate()), clientNames: namesOf(await greeted) };
  } finally {
    socket.destroy();
    listener.close();
  }
}

function namesOf(certificate: X509Certificate | undefined): readonly string[] {
  return certificate === undefined ? [] : certificateNames(certificate);
}

async function partiesOf(authority: Awaited<ReturnType<typeof createAuthority>>): Promise<{ gateway: PkiData; runner: PkiData }> {
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

    await assert.rejects(handshake(runner, { ca: runner.ca }), /server":"ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE/);
    await assert.rejects(handshake(runner, trusting), /server":"SELF_SIGNED_CERT_IN_CHAIN/);
    await assert.rejects(handshake(others.runner, gateway), /client":"SELF_SIGNED_CERT_IN_CHAIN/);
    await assert.rejects(handshake(runner, runner), /server":"INVALID_PURPOSE/);
    await assert.rejects(handshake(gateway, gateway, "kiln-gateway"), /client":"INVALID_PURPOSE/);
    await assert.rejects(handshake(runner, gateway, "other-runner"), /client":"ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("makes certificates that are refused once they have ended", async () => {
    const nowMs = Date.now() - 10 * DAY_MS;
    const authority = await createAuthority({ nowMs });
    const { gateway } = await partiesOf(authority);
    const ended = await issue(authority, { name: "kiln-runner", role: "runner", validDays: 5, nowMs });

    await assert.rejects(handshake(ended, gateway), /client":"CERT_HAS_EXPIRED/);
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

describe("ensureDevPki", () => {
  it("makes a set at the first start, for its owner's eyes only, and uses it later", async (t) => {
    const directory = await stateDirectory(t);

    const first = await ensureDevPki(directory);
    const texts = await readAll(directory);
    const second = await ensureDevPki(directory);

    assert.equal(first.madeBecause, "there were none");
    assert.equal(second.madeBecause, undefined);
    assert.deepEqual(await readAll(directory), texts);
    assert.deepEqual(Object.keys(texts), ["ca.crt", "ca.key", "gateway.crt", "gateway.key", "runner.crt", "runner.key"]);
    for (const key of ["ca.key", "gateway.key", "runner.key"]) assert.equal(await modeOf(join(directory, key)), 0o600);
    assert.equal(await modeOf(directory), 0o700);
    await assertWorks(first);
  });

  it("takes back what others were allowed to read", async (t) => {
    const directory = await stateDirectory(t);
    await ensureDevPki(directory);
    await chmod(directory, 0o755);
    await chmod(join(directory, "ca.key"), 0o644);

    await ensureDevPki(directory);

    assert.equal(await modeOf(directory), 0o700);
    assert.equal(await modeOf(join(directory, "ca.key")), 0o600);
  });

  it("renews a week before the end, under the same authority", async (t) => {
    const directory = await stateDirectory(t);
    const at = (days: number) => ({ clock: { ...systemClock, wallMs: () => Date.now() + days * DAY_MS } });
    await ensureDevPki(directory);
    const authority = (await readAll(directory))["ca.crt"];

    const early = await ensureDevPki(directory, at(82));
    const late = await ensureDevPki(directory, at(84));

    assert.equal(early.madeBecause, undefined);
    assert.match(late.madeBecause ?? "", /^gateway\.crt is valid until /);
    assert.equal((await readAll(directory))["ca.crt"], authority);
    assert.equal((await ensureDevPki(directory, at(84))).madeBecause, undefined);
  });

  it("renews everything when the authority ends", async (t) => {
    const directory = await stateDirectory(t);
    await ensureDevPki(directory);
    const authority = (await readAll(directory))["ca.crt"];

    const later = { ...systemClock, wallMs: () => Date.now() + 3_645 * DAY_MS };
    const { madeBecause } = await ensureDevPki(directory, { clock: later });

    assert.match(madeBecause ?? "", /^ca\.crt is valid until /);
    assert.notEqual((await readAll(directory))["ca.crt"], authority);
  });

  const spoilt: Record<string, { readonly spoil: (directory: string) => Promise<unknown>; readonly says: RegExp }> = {
    "a key of another certificate": {
      spoil: (directory) => copyFile(join(directory, "gateway.key"), join(directory, "runner.key")),
      says: /^runner\.crt does not belong to its key$/,
    },
    "a certificate in another's place": {
      spoil: async (directory) => {
        await copyFile(join(directory, "gateway.key"), join(directory, "runner.key"));
        await copyFile(join(directory, "gateway.crt"), join(directory, "runner.crt"));
      },
      says: /^runner\.crt does not carry the name kiln-runner$/,
    },
    "a missing file": {
      spoil: (directory) => rm(join(directory, "gateway.crt")),
      says: /^gateway\.crt cannot be read$/,
    },
    "half a file": {
      spoil: (directory) => writeFile(join(directory, "runner.crt"), "-----BEGIN CERTIFICATE-----\nMII"),
      says: /^runner\.crt cannot be read$/,
    },
    "a missing authority's key": {
      spoil: (directory) => rm(join(directory, "ca.key")),
      says: /^ca\.crt or ca\.key cannot be read$/,
    },
    "another authority": {
      spoil: async (directory) => {
        const { cert, key } = await createAuthority();
        await writeFile(join(directory, "ca.crt"), cert);
        await writeFile(join(directory, "ca.key"), key);
      },
      says: /^gateway\.crt is not signed by ca\.crt$/,
    },
  };

  for (const [what, { spoil, says }] of Object.entries(spoilt)) {
    it(`makes anew what does not fit together: ${what}`, async (t) => {
      const directory = await stateDirectory(t);
      await ensureDevPki(directory);
      await spoil(directory);

      const pki = await ensureDevPki(directory);

      assert.match(pki.madeBecause ?? "", says);
      await assertWorks(pki);
    });
  }

  it("makes one set when several start at once, and leaves nothing beside it", async (t) => {
    const directory = await stateDirectory(t);

    for (const spoil of [async () => {}, () => rm(join(directory, "runner.key"))]) {
      await spoil();
      const sets = await Promise.all(Array.from({ length: 6 }, () => ensureDevPki(directory)));
      assert.ok(sets.some(({ madeBecause }) => madeBecause !== undefined));
      for (const set of sets) await assertWorks(set);
    }
    assert.deepEqual(await readdir(join(directory, "..")), ["pki"]);
  });

  it("says what is in the way", async (t) => {
    const directory = await stateDirectory(t);
    await writeFile(join(directory, "../pki"), "");

    await assert.rejects(ensureDevPki(directory), new RegExp(`${directory}`));
  });
});

async function stateDirectory(t: TestContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "kiln-pki-"));
  t.after(() => rm(parent, { recursive: true }));
  return join(parent, "pki");
}

async function readAll(directory: string): Promise<Record<string, string>> {
  const names = (await readdir(directory)).toSorted();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), "utf8")));
  return Object.fromEntries(names.map((name, index) => [name, texts[index] ?? ""]));
}

async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o777;
}

async function assertWorks({ gateway, runner }: Awaited<ReturnType<typeof ensureDevPki>>): Promise<void> {
  const { serverNames, clientNames } = await handshake(await loadPki(runner), await loadPki(gateway));
  assert.ok(serverNames.includes("kiln-runner"));
  assert.deepEqual(clientNames, ["kiln-gateway"]);
}
