import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { readSettings } from "../../core/config.ts";
import { GATEWAY_SETTINGS } from "../../gateway/settings.ts";

describe("the gateway's settings", () => {
  it("take no negative headroom, which would end calls before they began (unlike Fn: Q36)", () => {
    assert.throws(
      () => readSettings(GATEWAY_SETTINGS, { FN_EXECUTION_HEADROOM: "-1" }),
      /FN_EXECUTION_HEADROOM is "-1", expected an integer 0 to 86400000/,
    );
  });
});
