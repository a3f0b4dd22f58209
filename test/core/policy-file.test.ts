import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { functions, loadPolicyFile } from "../../core/policy-file.ts";

const clone = join(import.meta.dirname, "../..");
const deno = join(clone, "node_modules/deno/bin.cjs");

const runtimes = {
  Node: [],
  tsx: ["--import", "tsx"],
  // All that loading needs: undici, which the gateway and the runner import, looks at the environment.
  Deno: [deno, "run", "--allow-read", "--allow-env"],
} as const;

const usesKiln = `
  import { defineExtension, withExtension, z } from "kiln/extension";
  import { defineExtension as asGateway } from "kiln/gateway";
  import { defineExtension as asRunner } from "kiln/runner";
  const plan = defineExtension("plan", z.string());
  const set = (): unknown => withExtension({ extensions: {}, callExtensions: {} }, plan, "gold").extensions;
  const isSame = (own: { defineExtension?: unknown }): boolean =>
    [defineExtension, asGateway, asRunner].every((each) => each === own.defineExtension);
  export const overriders = [set, isSame];
`;
const loaded = { returned: { overriders: [{ plan: "gold" }, true] } };

/** What is wrong with a file: its path in the folder, its text, and what is said about it by all or by some. */
interface Fault {
  readonly path: string;
  readonly text: string;
  readonly says: RegExp;
  /** Where it loads, or goes wrong otherwise. */
  readonly not?: readonly (keyof typeof runtimes)[];
}

const faults: Record<string, Fault> = {
  "a TypeScript enum": {
    path: "enum.ts",
    text: "export enum Plan { gold }\nexport const overriders = [];",
    says: /TypeScript enum at \S*enum\.ts:1, and Node only strips types: write erasable TypeScript .*start through tsx/,
    not: ["tsx", "Deno"],
  },
  "a namespace": {
    path: "namespace.ts",
    text: "export const overriders = [];\nnamespace N { export const x = 1; }",
    says: /TypeScript namespace declaration at \S*namespace\.ts:2/,
    not: ["tsx", "Deno"],
  },
  "a parameter property": {
    path: "parameter.ts",
    text: "class A { constructor(private x: number) {} }",
    says: /TypeScript parameter property at \S*parameter\.ts:1/,
    not: ["tsx", "Deno"],
  },
  "a file below node_modules": {
    path: "node_modules/policies/inner.ts",
    text: "export const overriders: unknown[] = [];",
    says: /inner\.ts" is TypeScript below node_modules, where Node strips no types: move it out/,
    not: ["tsx"],
  },
  "a syntax error": {
    path: "syntax.ts",
    text: "export const overriders = [\nconst x = ;",
    says: /it has a syntax error at \S*syntax\.ts:2: (?:Expression expected|Unexpected "const")$/,
  },
  "a syntax error in a file it imports": {
    path: "imports-syntax.ts",
    text: 'import "./syntax.ts";',
    says: /it has a syntax error at \S*\/syntax\.ts:2: /,
  },
  "an exception": {
    path: "throws.ts",
    text: '\n\nthrow new Error("no token");',
    says: /it throws when imported: no token at \S*throws\.ts:3$/,
  },
  "an exception that is a SyntaxError of its own": {
    path: "json.ts",
    text: 'export const overriders = [JSON.parse("{")];',
    says: /it throws when imported: .*JSON.* at \S*json\.ts:1$/,
  },
  "an exception in a file it imports": {
    path: "imports-json.ts",
    text: 'import "./json.ts";',
    says: /it throws when imported: .*JSON.* at \S*\/json\.ts:1$/,
  },
  "something thrown that is no error": {
    path: "text.ts",
    text: 'throw "no luck";',
    says: /it throws when imported: no luck$/,
  },
  "a package that is not installed": {
    path: "package.ts",
    text: 'import { jwt } from "no-such-package/jwt";\nexport const overriders = [jwt];',
    says: /it imports "no-such-package(?:\/jwt)?" (?:at|in) \S*package\.ts\S*, which is not installed: run npm install no-such-package in/,
  },
  "a file that is not there": {
    path: "missing.ts",
    text: 'import { x } from "./gone.ts";\nexport const overriders = [x];',
    says: /it imports "\S*gone\.ts" (?:at|in) \S*missing\.ts\S*, which does not exist$/,
  },
  "an import without its ending": {
    path: "ending.ts",
    text: 'import { x } from "./other";\nexport const overriders = [x];',
    says: /it imports "\S*other" .*, which does not exist: write the ending of "\S*other\.ts"/,
    not: ["tsx"],
  },
  "a part of Kiln that is not exported": {
    path: "subpath.ts",
    text: 'import { x } from "kiln/core";\nexport const overriders = [x];',
    says: /it imports "kiln\/core".*, expected one of kiln\/gateway, kiln\/runner, kiln\/extension/,
    not: ["tsx"],
  },
  "a type imported as a value": {
    path: "type.ts",
    text: 'import { ExtensionCarrier } from "kiln/extension";\nexport const overriders = [(c?: ExtensionCarrier) => c === undefined];',
    says: /it imports "ExtensionCarrier" from "kiln\/extension" at \S*type\.ts:1, .*write import type \{ ExtensionCarrier \}/,
    not: ["tsx", "Deno"],
  },
  CommonJS: {
    path: "commonjs.ts",
    text: "\nmodule.exports = { overriders: [] };",
    says: /it uses CommonJS's "module" at \S*commonjs\.ts:2: write import and export/,
    not: ["tsx"],
  },
  'a package without "type"': {
    path: "typeless/overriders.ts",
    text: "export const overriders = [];",
    says: /typeless\/package\.json" has no "type", expected "type": "module"; set it there, or put it in "\S*\/policies"/,
  },
  "a CommonJS package": {
    path: "commonjs/overriders.ts",
    text: "export const overriders = [];",
    says: /commonjs\/package\.json" says "type": "commonjs", expected "type": "module"/,
  },
  "a folder": { path: "commonjs", text: "", says: /\/commonjs" is a directory, expected one file in it/ },
  "another kind of file": {
    path: "typeless/package.json",
    text: "",
    says: /ends in "\.json", expected a module that ends in \.ts/,
  },
  "a wrong path": {
    path: "nowhere.ts",
    text: "",
    says: /no such file; looked for "\/\S*\/nowhere\.ts", as the working directory is "\/\S*"$/,
  },
  "no export": { path: "empty.ts", text: "export {};", says: /it exports nothing, expected overriders$/ },
  "other exports": {
    path: "others.ts",
    text: "export const plan = 1, quota = 2;",
    says: /it exports plan, quota, expected overriders$/,
  },
  "a slip in the name": {
    path: "slip.ts",
    text: "export const overrider = [], quota = 2;",
    says: /it exports "overrider", did you mean "overriders"\?$/,
  },
  "a default export": {
    path: "default.ts",
    text: "export default [];",
    says: /it has a default export only, expected overriders: write export const overriders = \[\.\.\.\]$/,
  },
  "one function without an array": {
    path: "single.ts",
    text: "export const overriders = () => {};",
    says: /its export "overriders" is a function, expected an array of functions$/,
  },
  "an array in the array": {
    path: "nested.ts",
    text: "export const overriders = [() => {}, [() => {}]];",
    says: /overriders\[1\] is an array, expected a function$/,
  },
};

interface Report {
  readonly file: string;
  readonly returned?: unknown;
  readonly error?: string;
}

async function load(
  runtime: keyof typeof runtimes,
  names: string,
  files: readonly string[],
): Promise<readonly Report[]> {
  const script = join(clone, "kiln/testing/print-policy.ts");
  const args = [...runtimes[runtime], script, names, ...files];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: clone });
  const reports = stdout
    .trim()
    .split("\n")
    .map((line): Report => JSON.parse(line));
  return reports;
}

async function write(file: string, text: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

function skipReason(runtime: keyof typeof runtimes): string | false {
  if ("Deno" in globalThis) return "starts Node, and runs on Deno itself";
  return runtime === "Deno" && !existsSync(deno) && process.env["CI"] !== "true" ? "needs the npm package deno" : false;
}

describe("loadPolicyFile", () => {
  let own = "";
  let inClone = "";

  before(async () => {
    own = await mkdtemp(join(tmpdir(), "kiln-policy-"));
    await mkdir(join(clone, "policies"), { recursive: true });
    inClone = await mkdtemp(join(clone, "policies/tried-"));
    // What `npm install` makes of a `file:` dependency.
    await write(join(own, "package.json"), `{ "type": "module", "dependencies": { "kiln": "file:${clone}" } }`);
    await mkdir(join(own, "node_modules"));
    await symlink(clone, join(own, "node_modules/kiln"));
    await write(join(own, "node_modules/policies/package.json"), `{ "type": "module" }`);
    await write(join(own, "typeless/package.json"), "{}");
    await write(join(own, "commonjs/package.json"), `{ "type": "commonjs" }`);
    await write(join(own, "other.ts"), "export const x = () => {};");
    for (const { path, text } of Object.values(faults)) if (text !== "") await write(join(own, path), text);
  });

  after(async () => {
    await rm(own, { recursive: true });
    await rm(inClone, { recursive: true });
    // An operator's own files may lie beside ours.
    await rmdir(join(clone, "policies")).catch(() => {});
  });

  for (const runtime of ["Node", "tsx", "Deno"] as const) {
    describe(`on ${runtime}`, { skip: skipReason(runtime) }, () => {
      it("loads a file in the clone's policies/, which shares Kiln's own modules", async () => {
        const file = await write(join(inClone, `${runtime}.ts`), usesKiln);

        assert.deepEqual(await load(runtime, "overriders", [file]), [{ file, ...loaded }]);
      });

      it("loads a file in a folder of its own that depends on Kiln, which shares Kiln's own modules", async () => {
        const file = await write(join(own, "my-overriders.ts"), usesKiln);

        assert.deepEqual(await load(runtime, "overriders", [file]), [{ file, ...loaded }]);
      });

      it("says what to do about a file from where Kiln cannot be found", async (t) => {
        const outside = await mkdtemp(join(tmpdir(), "kiln-policy-outside-"));
        t.after(() => rm(outside, { recursive: true }));
        const alone = await write(join(outside, "overriders.ts"), usesKiln);
        const unlinked = await write(join(outside, "package/overriders.ts"), usesKiln);
        await write(join(outside, "package/package.json"), `{ "type": "module" }`);

        const [first, second] = await load(runtime, "overriders", [alone, unlinked]);

        const rule = String.raw`put it in "${clone}/policies", or in a folder of its own .*"kiln": "file:${clone}"`;
        assert.match(first?.error ?? "", new RegExp(`^Cannot load "${alone}": "${alone}" lies in no package: ${rule}`));
        assert.match(
          second?.error ?? "",
          new RegExp(`it imports "kiln\\S* .*which cannot be found from there: ${rule}`),
        );
      });

      it("explains every other failure", async (t) => {
        const files = Object.values(faults).map(({ path }) => join(own, path));
        const reports = await load(runtime, "overriders", files);

        for (const [index, [name, { says, not }]] of Object.entries(faults).entries()) {
          if (not?.includes(runtime) === true) continue;
          await t.test(name, () => {
            assert.match(reports[index]?.error ?? "it loads", says);
            assert.ok(reports[index]?.error?.startsWith(`Cannot load "${files[index]}": `));
          });
        }
      });
    });
  }

  const hooksShape = { startHooks: functions<() => string>(), callHooks: functions<() => string>() };

  it("takes one of several names, and an empty list for each other", async () => {
    const file = await write(join(own, "hooks.ts"), `export const callHooks = [() => "called"], helper = 1;`);

    const { startHooks, callHooks } = await loadPolicyFile(file, hooksShape);

    assert.deepEqual(startHooks, []);
    assert.deepEqual(
      callHooks.map((hook) => hook()),
      ["called"],
    );
  });

  it("refuses a slip in one name beside another that is right", async () => {
    const file = await write(join(own, "half.ts"), "export const callHooks = [], startHook = [];");

    await assert.rejects(loadPolicyFile(file, hooksShape), /it exports "startHook", did you mean "startHooks"\?$/);
  });

  it("asks for at least one of several names", async () => {
    const file = await write(join(own, "none.ts"), "export const hooks = [];");

    await assert.rejects(
      loadPolicyFile(file, hooksShape),
      /it exports hooks, expected at least one of startHooks, callHooks$/,
    );
  });

  it("gives up on a file that never ends importing", async () => {
    const file = await write(join(own, "waits.ts"), "await new Promise((resolve) => setTimeout(resolve, 500));");

    await assert.rejects(
      loadPolicyFile(file, hooksShape, { importTimeoutMs: 50 }),
      /it was still being imported after 50 ms: it awaits something at its top level$/,
    );
  });
});
