import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import {
  autoFlag,
  choice,
  describeSettings,
  flag,
  integer,
  readSettings,
  secretText,
  text,
  unknownSettings,
  words,
} from "../../core/config.ts";

const TABLE = {
  FN_PORT: integer(8080, "Port", { max: 65_535 }),
  FN_LOG_LEVEL: choice(["info", "warn"], "info", "Level"),
  FN_READONLY: flag(true, "Read-only"),
  FN_ADDRESSES: words([], "Addresses"),
  FN_NAME: text("kiln", "Name"),
  FN_TOKEN: secretText("Token"),
};

describe("readSettings", async () => {
  const directory = await mkdtemp(join(tmpdir(), "kiln-config-"));
  after(() => rm(directory, { recursive: true }));

  it("parts words at commas and at whitespace alike", () => {
    for (const FN_ADDRESSES of ["a b c", "a,b,c", " a,  b\nc "]) {
      assert.deepEqual(readSettings(TABLE, { FN_ADDRESSES }).FN_ADDRESSES, ["a", "b", "c"]);
    }
  });

  it("takes true, false and auto where a program finds out by itself", () => {
    const table = { FN_TMPFS: autoFlag("Tmpfs") };
    const read = (FN_TMPFS?: string) => readSettings(table, { FN_TMPFS }).FN_TMPFS;

    assert.deepEqual([read(), read("auto"), read("1"), read("false")], ["auto", "auto", true, false]);
    assert.throws(() => read("perhaps"), /FN_TMPFS is "perhaps", expected true or false/);
  });

  it("takes defaults for what is unset or empty", () => {
    assert.deepEqual(readSettings(TABLE, { FN_PORT: "" }), {
      FN_PORT: 8080,
      FN_LOG_LEVEL: "info",
      FN_READONLY: true,
      FN_ADDRESSES: [],
      FN_NAME: "kiln",
      FN_TOKEN: "",
    });
  });

  it("reads each type", () => {
    const settings = readSettings(TABLE, {
      FN_PORT: " 0 ",
      FN_LOG_LEVEL: "warn",
      FN_READONLY: "F",
      FN_ADDRESSES: "a:1, b:2 c:3",
    });

    assert.equal(settings.FN_PORT, 0);
    assert.equal(settings.FN_LOG_LEVEL, "warn");
    assert.equal(settings.FN_READONLY, false);
    assert.deepEqual(settings.FN_ADDRESSES, ["a:1", "b:2", "c:3"]);
  });

  it("reads a value from the file that NAME_FILE names", async () => {
    const file = join(directory, "token");
    await writeFile(file, "from a file\n");

    assert.equal(readSettings(TABLE, { FN_TOKEN_FILE: file }).FN_TOKEN, "from a file");
  });

  it("reads the file where the name itself is set to nothing", async () => {
    const file = join(directory, "name");
    await writeFile(file, "filed");

    assert.equal(readSettings(TABLE, { FN_NAME: "", FN_NAME_FILE: file }).FN_NAME, "filed");
  });

  it("names every bad value at once, with what was expected", () => {
    const bad = { FN_PORT: "70000", FN_LOG_LEVEL: "loud", FN_READONLY: "perhaps" };

    assert.throws(
      () => readSettings(TABLE, bad),
      (error: Error) =>
        /FN_PORT is "70000", expected an integer 0 to 65535/.test(error.message) &&
        /FN_LOG_LEVEL is "loud", expected one of info, warn/.test(error.message) &&
        /FN_READONLY is "perhaps", expected true or false/.test(error.message),
    );
  });

  it("takes no half numbers", () => {
    for (const value of ["1.5", "1e3", "0x10", "-1", "ten"]) {
      assert.throws(() => readSettings(TABLE, { FN_PORT: value }), /FN_PORT/);
    }
  });

  it("never shows a secret", () => {
    const table = { FN_TOKEN: { ...integer(0, "Token"), secret: true } };

    assert.throws(
      () => readSettings(table, { FN_TOKEN: "hunter2" }),
      (error: Error) => /FN_TOKEN is its value \(secret\)/.test(error.message) && !error.message.includes("hunter2"),
    );
  });

  it("says which file it could not read", () => {
    assert.throws(
      () => readSettings(TABLE, { FN_NAME_FILE: join(directory, "none") }),
      /readable file in FN_NAME_FILE/,
    );
  });
});

describe("unknownSettings", () => {
  it("warns of an unknown name with the nearest known one", () => {
    assert.deepEqual(unknownSettings({ FN_PROT: "1", HOME: "/", FN_PORT: "1", FN_NAME_FILE: "x" }, TABLE), [
      "FN_PROT is not a setting; the nearest is FN_PORT",
    ]);
  });
});

describe("describeSettings", () => {
  it("says name, meaning, type and default of each", () => {
    const help = describeSettings(TABLE);

    assert.match(help, /FN_PORT\n\s+Port \(integer 0 to 65535; default 8080\)/);
    assert.match(help, /FN_ADDRESSES\n\s+Addresses \(words; default none\)/);
  });
});
