import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseFunctions } from "../../../gateway/functions/functions-yaml.ts";

const parse = (...lines: readonly string[]) => parseFunctions(lines.join("\n"), "functions.yaml");

/** A file with one function, its fields on the lines from 5. */
const withFields = (...fields: readonly string[]) => [
  "apps:",
  "  - name: a",
  "    fns:",
  "      - name: f",
  ...fields.map((field) => `        ${field}`),
  "        image: f:1",
];

describe("parseFunctions", () => {
  it("reads every field of apps and functions", () => {
    const found = parse(
      "apps:",
      "  - name: greetings",
      "    id: app-7",
      "    config: { A: one, B: '2' }",
      "    annotations: { team: { name: x, size: 3 } }",
      "    syslog_url: tcp://log:514",
      "    fns:",
      "      - name: hello",
      "        id: fn-7",
      "        image: registry:5000/hello:0.0.1",
      "        memory: 256",
      "        timeout: 5",
      "        idle_timeout: 60",
      "        tmpfs_size: 64",
      "        cpus: 500m",
      "        config: { B: three }",
      "        annotations: { x: [1, true] }",
      "        on_cancel: finish",
      "        idempotent: true",
      "        concurrency: 8",
      "        max_calls: 1000",
      "        min_containers: 1",
      "        max_containers: 4",
    );

    const app = {
      id: "app-7",
      name: "greetings",
      config: { A: "one", B: "2" },
      annotations: { team: { name: "x", size: 3 } },
      syslogUrl: "tcp://log:514",
    };
    const fn = {
      id: "fn-7",
      appId: "app-7",
      name: "hello",
      image: "registry:5000/hello:0.0.1",
      memoryMiB: 256,
      cpuMillis: 500,
      tmpfsMiB: 64,
      timeoutMs: 5_000,
      idleTimeoutMs: 60_000,
      config: { B: "three" },
      annotations: { x: [1, true] },
      onCancel: "finish",
      idempotent: true,
      concurrency: 8,
      maxCalls: 1_000,
      minContainers: 1,
      maxContainers: 4,
    };
    assert.deepEqual(found, [{ app, fn }]);
  });

  it("takes Fn's defaults where nothing is said", () => {
    const [found] = parse(...withFields());

    assert.ok(found !== undefined);
    const { id: _, appId, ...fn } = found.fn;
    assert.equal(appId, found.app.id);
    assert.deepEqual(fn, {
      name: "f",
      image: "f:1",
      memoryMiB: 128,
      cpuMillis: 0,
      tmpfsMiB: 0,
      timeoutMs: 30_000,
      idleTimeoutMs: 30_000,
      config: {},
      annotations: {},
      onCancel: "kill",
      idempotent: false,
      concurrency: 1,
      maxCalls: 0,
      minContainers: 0,
      maxContainers: 0,
    });
  });

  it("gives the same ids to the same names, and others to others", () => {
    const ids = (app: string, fn: string) => {
      const [found] = parse("apps:", `  - { name: ${app}, fns: [{ name: ${fn}, image: x }] }`);
      return [found?.app.id, found?.fn.id];
    };

    assert.deepEqual(ids("a", "f"), ids("a", "f"));
    const all = [...ids("a", "f"), ...ids("f", "a"), ...ids("ab", "c"), ...ids("a", "bc")];
    assert.equal(new Set(all).size, 7, "only app a comes twice");
    for (const id of all) assert.match(id ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
  });

  for (const [said, millis] of [
    ["500m", 500],
    ['"0.5"', 500],
    ["2", 2_000],
    ["0.001", 1],
    ["0", 0],
    ["1024", 1_024_000],
  ] as const) {
    it(`reads cpus: ${said} as ${millis} thousandths of a core`, () => {
      assert.equal(parse(...withFields(`cpus: ${said}`))[0]?.fn.cpuMillis, millis);
    });
  }

  it("reads fractions of a second, apps without functions, and no apps at all", () => {
    assert.equal(parse(...withFields("timeout: 0.25"))[0]?.fn.timeoutMs, 250);
    assert.deepEqual(parse("apps: [{ name: empty }]"), []);
    assert.deepEqual(parse("apps: []"), []);
  });

  const line5: readonly [field: string, fault: string][] = [
    ["memory: 9000", "apps[0].fns[0].memory is 9000, expected an integer 1 to 8192 (MB)"],
    ["memory: 1.5", "apps[0].fns[0].memory is 1.5, expected an integer 1 to 8192 (MB)"],
    ["memory: 128MB", 'apps[0].fns[0].memory is "128MB", expected an integer 1 to 8192 (MB)'],
    ["timeout: 301", "apps[0].fns[0].timeout is 301, expected seconds, more than 0 and at most 300"],
    ["timeout: 0", "apps[0].fns[0].timeout is 0, expected seconds, more than 0 and at most 300"],
    ["idle_timeout: 3601", "apps[0].fns[0].idle_timeout is 3601, expected seconds, more than 0 and at most 3600"],
    ["tmpfs_size: -1", "apps[0].fns[0].tmpfs_size is -1, expected an integer 0 to 8192 (MB)"],
    [
      "tmpfs_size: 129",
      "apps[0].fns[0].tmpfs_size is 129, expected at most the memory of 128 MiB, since files there count as memory",
    ],
    ["cpus: lots", 'apps[0].fns[0].cpus is "lots", expected cores such as 0.5 or "500m", at most 1024'],
    ["cpus: 1025", 'apps[0].fns[0].cpus is 1025, expected cores such as 0.5 or "500m", at most 1024'],
    ["on_cancel: wait", 'apps[0].fns[0].on_cancel is "wait", expected kill or finish'],
    ["idempotent: sometimes", 'apps[0].fns[0].idempotent is "sometimes", expected true or false'],
    ["concurrency: 0", "apps[0].fns[0].concurrency is 0, expected an integer 1 to 1000 (calls at the same time)"],
    [
      "annotations: { kiln/max-calls: many }",
      'apps[0].fns[0].annotations.kiln/max-calls is "many", expected an integer 0 to 1000000000 (calls of one container, 0 for no limit)',
    ],
    ["annotations: { kiln/cpu: 1 }", "apps[0].fns[0].annotations.kiln/cpu is 1, expected kiln/cpus"],
    [
      "annotations: { kiln/min-containers: 3, kiln/max-containers: 2 }",
      "apps[0].fns[0].annotations.kiln/min-containers is 3, expected at most max_containers, 2",
    ],
    ["config: { PORT: 8080 }", "apps[0].fns[0].config.PORT is 8080, expected a string: put it in quotes"],
    ["annotations: { a: '' }", 'apps[0].fns[0].annotations.a is "", expected JSON of at most 512 bytes, not empty'],
    ["memroy: 128", 'apps[0].fns[0].memroy is not a field, did you mean "memory"'],
    ["id: ''", 'apps[0].fns[0].id is "", expected 1 to 128 letters, digits, _, . or -'],
  ];
  for (const [field, fault] of line5) {
    it(`names file, line and path of ${field}`, () => {
      assert.throws(() => parse(...withFields(field)), { message: `functions.yaml:5: ${fault}` });
    });
  }

  for (const [what, lines, message] of [
    ["an empty file", [""], "functions.yaml:1: the file is null, expected object"],
    [
      "no apps",
      ["functions: []"],
      /^functions.yaml:1: apps is missing, expected array\nfunctions.yaml:1: functions is not a field, expected one of apps$/,
    ],
    [
      "a function without an image",
      ["apps:", "- name: a", "  fns:", "  - name: f"],
      "functions.yaml:4: apps[0].fns[0].image is missing, expected string",
    ],
    [
      "an app's name",
      ["apps:", "- name: a b"],
      'functions.yaml:2: apps[0].name is "a b", expected letters, digits, _ or -',
    ],
    [
      "a syslog URL",
      ["apps:", "- name: a", "  syslog_url: http://x"],
      /^functions.yaml:3: apps\[0\].syslog_url is "http:\/\/x", expected a URL with one of udp, tcp/,
    ],
    [
      "an app twice",
      ["apps:", "- name: a", "- name: a"],
      /^functions.yaml:3: apps\[1\].name is "a", expected another app name: it is taken$/,
    ],
    [
      "a function's setting on its app",
      ["apps:", "- name: a", "  annotations: { kiln/concurrency: 2 }"],
      /^functions.yaml:3: apps\[0\].annotations is \{"kiln\/concurrency":2\}, expected no key that begins with kiln\//,
    ],
    ["a key twice", ["apps:", "- name: a", "  name: b"], /^functions.yaml:3: Map keys must be unique/],
    ["what is no YAML", ["apps: [", "  {"], /^functions.yaml:\d: /],
  ] as const) {
    it(`refuses ${what}`, () => {
      assert.throws(() => parse(...lines), { message });
    });
  }

  it("refuses ids and names that are taken, declared or derived", () => {
    const twice = (one: string, other: string) => () =>
      parse("apps:", "  - name: a", "    fns:", `      - { image: x, ${one} }`, `      - { image: x, ${other} }`);

    assert.throws(twice("name: f", "name: f"), {
      message: 'functions.yaml:5: apps[0].fns[1].name is "f", expected another name in its app: it is taken',
    });
    assert.throws(twice("name: f, id: same", "name: g, id: same"), {
      message: 'functions.yaml:5: apps[0].fns[1].id is "same", expected another function id: it is taken',
    });
    const derived = parse("apps: [{ name: a, fns: [{ name: f, image: x }] }]")[0]?.fn.id ?? "";
    assert.throws(twice(`name: other, id: ${derived}`, "name: f"), /expected another function id: it is taken/);
  });

  it("tells all faults at once", () => {
    assert.throws(() => parse(...withFields("memory: 0", "timeout: 0")), {
      message: /^functions.yaml:5: .*\nfunctions.yaml:6: .*$/,
    });
  });
});
