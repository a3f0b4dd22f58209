import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { describe, it } from "node:test";

import { isVouchedFor } from "../../core/peer-certificate.ts";
import { createAuthority, issue } from "../../kiln/pki.ts";

const authority = await createAuthority();
const other = await createAuthority();
const leaf = new X509Certificate((await issue(authority, { name: "kiln-runner", role: "runner" })).cert);
const root = new X509Certificate(authority.cert);

describe("isVouchedFor", () => {
  it("believes what an authority of the bundle has signed", () => {
    assert.equal(isVouchedFor([leaf], other.cert + authority.cert), true);
  });

  it("follows the chain that the peer sent", () => {
    // The root vouches for itself: the leaf is believed by way of it.
    assert.equal(isVouchedFor([leaf, root], authority.cert), true);
  });

  it("does not believe an authority for being in the peer's chain", () => {
    assert.equal(isVouchedFor([leaf, root], other.cert), false);
  });

  it("believes nobody without a certificate, and nobody without authorities", () => {
    assert.equal(isVouchedFor([], authority.cert), false);
    assert.equal(isVouchedFor([leaf], ""), false);
  });
});
