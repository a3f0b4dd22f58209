import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseImage } from "../../../../../runner/driver/docker/images/image-reference.ts";

const DIGEST = `sha256:${"0".repeat(64)}`;

/** Fn's TestParseImage: a name, and its registry, repository, and tag or digest. */
const ROWS: readonly (readonly [name: string, registry: string, repository: string, tagOrDigest: string])[] = [
  ["fnproject/hello", "", "fnproject/hello", "latest"],
  ["fnproject/hello:v1", "", "fnproject/hello", "v1"],
  ["my.registry/hello", "my.registry", "hello", "latest"],
  ["my.registry/hello:v1", "my.registry", "hello", "v1"],
  ["mongo", "", "library/mongo", "latest"],
  ["mongo:10.1", "", "library/mongo", "10.1"],
  ["quay.com/fnproject/hello", "quay.com", "fnproject/hello", "latest"],
  ["quay.com:8080/fnproject/hello:v2", "quay.com:8080", "fnproject/hello", "v2"],
  ["localhost.localdomain:5000/samalba/hipache:latest", "localhost.localdomain:5000", "samalba/hipache", "latest"],
  [
    "localhost.localdomain:5000/samalba/hipache/isthisallowedeven:latest",
    "localhost.localdomain:5000",
    "samalba/hipache/isthisallowedeven",
    "latest",
  ],
  ["localhost/hello", "localhost", "hello", "latest"],
  ["localhost:5000/hello:v1", "localhost:5000", "hello", "v1"],
  ["127.0.0.1:5000/hello", "127.0.0.1:5000", "hello", "latest"],
  [`my.registry/hello@${DIGEST}`, "my.registry", "hello", DIGEST],
  [`my.registry:5000/a/hello@${DIGEST}`, "my.registry:5000", "a/hello", DIGEST],
  [`my.registry:5000/a/hello:v1@${DIGEST}`, "my.registry:5000", "a/hello", DIGEST],
  [`mongo@${DIGEST}`, "", "library/mongo", DIGEST],
  ["docker.io/mongo", "docker.io", "library/mongo", "latest"],
  ["docker.io/fnproject/hello", "docker.io", "fnproject/hello", "latest"],
  ["a/b/c:1", "", "a/b/c", "1"],
];

describe("parseImage", () => {
  for (const [name, registry, repository, tagOrDigest] of ROWS) {
    it(`reads ${name} (Fn's TestParseImage)`, () => {
      const read = parseImage(name);

      assert.deepEqual(
        { registry: read.registry, repository: read.repository, version: read.digest || read.tag },
        { registry, repository, version: tagOrDigest },
      );
      assert.equal(read.tag === "", read.digest !== "");
    });
  }
});
