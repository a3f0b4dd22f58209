import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseRunnerWord } from "../../../../gateway/runnerpool/discovery/runner-words.ts";

describe("parseRunnerWord", () => {
  it("reads an address with its name and its labels", () => {
    assert.deepEqual(parseRunnerWord("big=10.0.0.1:9190;group=gpu;zone=eu-1", "kiln-runner"), {
      kind: "runner",
      runner: { address: "10.0.0.1:9190", certCommonName: "big", labels: { group: "gpu", zone: "eu-1" } },
    });
  });

  it("reads names to follow, and files", () => {
    const rest = { labels: {}, certName: "kiln-runner" };
    assert.deepEqual(parseRunnerWord("dns://tasks.runner:9190", "kiln-runner"), {
      kind: "dns",
      host: "tasks.runner",
      port: 9190,
      ...rest,
    });
    assert.deepEqual(parseRunnerWord("dns+srv://_kiln._tcp.x", "kiln-runner"), {
      kind: "dns+srv",
      host: "_kiln._tcp.x",
      port: 0,
      ...rest,
    });
    assert.deepEqual(parseRunnerWord("file:///etc/runners.yaml", "n"), {
      kind: "file",
      path: "/etc/runners.yaml",
      certName: "n",
    });
    assert.equal((parseRunnerWord("file:runners.yaml", "n") as { path: string }).path, "runners.yaml");
  });

  for (const text of ["dns://name", "dns+srv://name:1", "file:", "host", "a:1;gpu", "dns://:1", "http://a:1"]) {
    it(`refuses "${text}", saying what it expected`, () => {
      assert.throws(
        () => parseRunnerWord(text, "n"),
        (error: Error) => error.message.startsWith(`Cannot use runner address "${text}": expected host:port, dns://`),
      );
    });
  }
});
