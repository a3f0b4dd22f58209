import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { createAuthority, issue } from "../../kiln/pki.ts";
import { eventually } from "../../kiln/testing/eventually.ts";
import { runnerProcess, type MainProcess } from "../../kiln/testing/main-process.ts";
import { pkiFolder, type PkiFolder } from "../../kiln/testing/pki-folder.ts";
import { readmeCommand } from "../../kiln/testing/readme-command.ts";

const run = promisify(execFile);
const authority = await createAuthority();

const HELLO = { hello: { gatewayId: "buf", version: "0" } };

// Another implementation than all others here: buf is written in Go.
describe("a runner's port, for buf curl", { timeout: 60_000 }, () => {
  let runner: MainProcess;
  let pki: PkiFolder;
  before(async () => {
    runner = await runnerProcess(authority, "kiln-runner");
    pki = await pkiFolder(await issue(authority, { name: "kiln-gateway", role: "gateway" }));
  });
  after(async () => {
    await runner[Symbol.asyncDispose]();
    await pki[Symbol.asyncDispose]();
  });

  /** The README's command for this method, for this runner and with these certificates. */
  async function commandFor(method: string): Promise<string> {
    const { cert, key, ca } = pki.files;
    const shown = await readmeCommand(`RunnerService/${method}`);
    assert.match(shown, /192\.0\.2\.11:9190/);
    return shown
      .replace("gateway-pki/kiln-gateway.crt", cert)
      .replace("gateway-pki/kiln-gateway.key", key)
      .replace("gateway-pki/ca.crt", ca)
      .replace("192.0.2.11:9190", runner.address);
  }

  async function answerTo(command: string): Promise<unknown> {
    const { stdout } = await run("bash", ["-c", command], { timeout: 30_000 });
    return JSON.parse(stdout);
  }

  for (const protocol of ["connect", "grpc", "grpcweb"]) {
    it(`answers the README's commands: ${protocol}`, async () => {
      const status = await answerTo(`${await commandFor("Status")} --protocol ${protocol}`);
      const answer = await answerTo(`${await commandFor("Invoke")} --protocol ${protocol}`);

      assert.ok(typeof status === "object" && status !== null && "runnerId" in status);
      assert.equal(status.runnerId, "kiln-runner");
      assert.ok(typeof answer === "object" && answer !== null && "body" in answer);
      assert.equal(Buffer.from(String(answer.body), "base64").toString(), '{"message":"Hello, you"}');
    });

    it(`says hello in a session whose requests have ended: ${protocol}`, async () => {
      const engage = (await commandFor("Status")).replace("/Status", "/Engage");

      const message = await answerTo(
        `${engage} --protocol ${protocol} --data '${JSON.stringify({ frames: [HELLO] })}'`,
      );

      assert.match(JSON.stringify(message), /"hello":\{"runnerId":"kiln-runner"/);
    });
  }

  it("refuses one without a certificate", async () => {
    const command = (await commandFor("Status")).replace(/--cert \S+ --key \S+/, "");

    // With TLS 1.3 a client may meet the closed connection before it hears why.
    await assert.rejects(
      answerTo(command),
      /certificate required|could not be established|connection reset|broken pipe/,
    );
    await eventually(() => assert.match(runner.output(), /Refused a connection: .*certificate/));
  });
});
