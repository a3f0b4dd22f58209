import assert from "node:assert/strict";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { ContainerCreateOptions } from "dockerode";

import { systemClock } from "../../../../core/clock.ts";
import { createLog, silentLog } from "../../../../core/log.ts";
import { optionSources } from "../../../../kiln/testing/option-sources.ts";
import { containerOptions } from "../../../../runner/driver/docker/container-options.ts";
import { loadGuard, parsePermits, watchGuard } from "../../../../runner/driver/docker/guard-file.ts";
import type { Guard } from "../../../../runner/driver/docker/guard.ts";

const PRIVILEGED = "fields: [HostConfig.Privileged]\n";

const options = (): ContainerCreateOptions => containerOptions(optionSources());

function allowsPrivileged(guard: Guard): boolean {
  const asked = options();
  Object.assign(asked.HostConfig ?? {}, { Privileged: true });
  try {
    guard.check(asked, options());
    return true;
  } catch {
    return false;
  }
}

async function guardFile(t: TestContext, source: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-guard-"));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, "guard.yaml");
  await writeFile(path, source);
  return path;
}

async function eventually(check: () => boolean): Promise<void> {
  const until = performance.now() + 5_000;
  while (!check() && performance.now() < until) await sleep(20);
  assert.ok(check());
}

describe("parsePermits", () => {
  it("reads an empty file as one that allows nothing", () => {
    assert.deepEqual(parsePermits("# nothing yet\n", "guard.yaml"), parsePermits("{}", "guard.yaml"));
    assert.deepEqual(parsePermits("", "guard.yaml").fields, []);
  });

  it("reads every kind of permit", () => {
    const permits = parsePermits(
      `fields: [HostConfig.Privileged]
devices: ["/dev/kvm:rw"]
deviceRequests: [{ driver: nvidia, capabilities: [gpu], maxCount: 1 }]
deviceCgroupRules: ["c 10:232 rwm"]
binds:
  - source: /srv/models
  - { source: /srv/scratch, below: true, writable: true }
volumes: [cache]
capabilities: [NET_BIND_SERVICE]
securityOpts: ["seccomp=unconfined"]
runtimes: [runsc]
networks: [fn-net]
hostNamespaces: [network]
sysctls: [net.core.somaxconn]
groups: ["44"]
users: ["2000:2000"]
ranges:
  memoryMiB: { max: 1024 }
  cpuShares: { min: 2, max: 2048 }
  ulimits: { nofile: { max: 1024 } }
`,
      "guard.yaml",
    );

    assert.deepEqual(permits.binds[0], { source: "/srv/models", below: false, writable: false });
    assert.equal(permits.ranges.ulimits["nofile"]?.max, 1_024);
  });

  const broken: readonly (readonly [what: string, source: string, message: RegExp])[] = [
    ["an unknown key", "volumes: []\ndevises: [/dev/kvm]\n", /guard\.yaml": line 2: .*devises/],
    [
      "an unknown key inside",
      "binds:\n  - source: /a\n  - source: /b\n    writeable: true\n",
      /line 4: binds\.1: .*writeable/,
    ],
    ["a wrong type", "\nnetworks: fn-net\n", /line 2: networks: .*expected array/],
    ["a wrong item", "runtimes:\n  - runsc\n  - 7\n", /line 3: runtimes\.1/],
    ["a path that is none", "binds:\n  - source: /srv/../etc\n", /line 2: binds\.0\.source: expected an absolute path/],
    ["the host's network by name", "networks:\n  - host\n", /line 2: networks\.0: .*hostNamespaces/],
    ["another container's network", "networks: ['container:x']\n", /line 1: networks\.0: .*never/],
    [
      "a field that does not exist",
      "fields:\n  - HostConfig.Priviledged\n",
      /line 2: fields: "HostConfig\.Priviledged" cannot be allowed whole/,
    ],
    ["a field that is Kiln's", "fields:\n  - HostConfig.PidMode\n", /line 2: fields: "HostConfig\.PidMode"/],
    ["a key that comes twice", "users: []\ngroups: []\nusers: [root]\n", /line 3: .*unique/],
    ["what is no YAML", "users: [\n", /line \d: /],
    ["a list", "- users\n", /line 1: file: .*expected object/],
  ];
  for (const [what, source, message] of broken) {
    it(`names file and line of ${what}`, () => {
      assert.throws(() => parsePermits(source, "guard.yaml"), message);
    });
  }
});

describe("loadGuard", () => {
  it("guards with the file's permits", async (t) => {
    assert.equal(allowsPrivileged(await loadGuard(await guardFile(t, PRIVILEGED))), true);
    assert.equal(allowsPrivileged(await loadGuard(await guardFile(t, ""))), false);
  });

  it("names a file that is not there", async () => {
    await assert.rejects(loadGuard("/nowhere/guard.yaml"), /Cannot read guard file "\/nowhere\/guard\.yaml"/);
  });
});

describe("watchGuard", () => {
  it("follows its file, written or replaced", async (t) => {
    const path = await guardFile(t, "");
    using guard = await watchGuard(path, silentLog, systemClock);
    assert.equal(allowsPrivileged(guard), false);

    await writeFile(path, PRIVILEGED);
    await eventually(() => allowsPrivileged(guard));

    await writeFile(`${path}.new`, "");
    await rename(`${path}.new`, path);
    await eventually(() => !allowsPrivileged(guard));
  });

  it("keeps what was in force when the file breaks or goes, and logs file and line", async (t) => {
    const lines: string[] = [];
    const path = await guardFile(t, PRIVILEGED);
    using guard = await watchGuard(path, createLog({ write: (line) => lines.push(line) }), systemClock);

    await writeFile(path, "fields: []\nfeilds: []\n");
    await eventually(() => lines.some((line) => line.includes("line 2") && line.includes(path)));
    assert.equal(allowsPrivileged(guard), true);

    await rm(path);
    await eventually(() => lines.some((line) => line.includes("Cannot read guard file")));
    assert.equal(allowsPrivileged(guard), true);
  });

  it("does not begin with a broken file", async (t) => {
    const path = await guardFile(t, "feilds: []\n");

    await assert.rejects(watchGuard(path, silentLog, systemClock), /line 1/);
  });
});

describe("the README's allow-list", () => {
  it("is one", async () => {
    const readme = await readFile(new URL("../../../../README.md", import.meta.url), "utf8");
    const shown = /--guard guard\.yaml`[^]*?```yaml\n([^]*?)```/.exec(readme)?.[1];
    assert.ok(shown !== undefined);

    const { devices, capabilities, ranges } = parsePermits(shown, "guard.yaml");

    assert.deepEqual([devices, capabilities, ranges.memoryMiB], [["/dev/fuse:rw"], ["NET_ADMIN"], { max: 1_024 }]);
  });
});
