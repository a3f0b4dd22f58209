import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import process from "node:process";
import { describe, it } from "node:test";

import { runService } from "../../core/service.ts";
import { GATEWAY_SETTINGS } from "../../gateway/settings.ts";

describe("runService", () => {
  it("says why it could not start after what it logged before that", async (t) => {
    const written: string[] = [];
    const write = (text: string) => (written.push(text.replace(/^[\d:.TZ-]+ /, "")), true);
    t.mock.method(process.stderr, "write", write);
    const streams = { stdout: new EventEmitter(), stderr: Object.assign(new EventEmitter(), { write }) };
    const program = Object.assign(new EventEmitter(), streams, { argv: ["node", "main.ts"], exitCode: 0 });

    await runService(
      {
        usage: "node main.ts",
        settings: GATEWAY_SETTINGS,
        options: {},
        share: () => Promise.reject(new Error("not shared")),
        start({ log }) {
          log.info("Reading certificates");
          return Promise.reject(new Error("the port is in use"));
        },
      },
      program as unknown as NodeJS.Process,
      {},
    );

    assert.deepEqual(written, ["info  Reading certificates\n", "the port is in use\n"]);
    assert.equal(program.exitCode, 1);
  });
});
