import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { imageOrigin } from "../../../../../runner/driver/docker/images/image-origin.ts";

const Id = "sha256:1d";
const NAME = "cheese.org/brie:1";

describe("imageOrigin", () => {
  it("is this machine for an image without a digest", () => {
    assert.deepEqual(imageOrigin({ Id, RepoDigests: [] }, NAME), { kind: "local" });
    assert.deepEqual(imageOrigin({ Id, RepoDigests: null }, NAME), { kind: "local" });
  });

  it("is the registries of its digests, that of the name asked for first", () => {
    const RepoDigests = ["wine.org/red@sha256:aa", "cheese.org/brie@sha256:bb"];

    assert.deepEqual(imageOrigin({ Id, RepoDigests }, NAME), {
      kind: "registry",
      references: ["cheese.org/brie@sha256:bb", "wine.org/red@sha256:aa"],
    });
  });

  it("stays where it was pulled from when somebody tags it with another name", () => {
    const origin = imageOrigin({ Id, RepoDigests: ["cheese.org/brie@sha256:bb"] }, "my-own:1");

    assert.deepEqual(origin, { kind: "registry", references: ["cheese.org/brie@sha256:bb"] });
  });

  it("is not to be told where a digest is only the id, as in Docker's containerd image store", () => {
    assert.deepEqual(imageOrigin({ Id, RepoDigests: [`hello@${Id}`] }, "hello"), {
      kind: "unsure",
      references: [`hello@${Id}`],
    });
  });

  it("is what the Engine says, where it says it (API 1.53)", () => {
    const RepoDigests = [`hello@${Id}`, `docker.io/library/hello@${Id}`];
    const pulled = (Repository: string) => ({ Pull: [{ Repository }] });

    assert.deepEqual(imageOrigin({ Id, RepoDigests, Identity: {} }, "hello"), { kind: "local" });
    assert.deepEqual(imageOrigin({ Id, RepoDigests, Identity: pulled("docker.io/library/hello") }, "hello"), {
      kind: "registry",
      references: RepoDigests,
    });
    assert.deepEqual(imageOrigin({ Id, RepoDigests: [], Identity: pulled("cheese.org/brie") }, NAME), {
      kind: "registry",
      references: [`cheese.org/brie@${Id}`],
    });
  });

  it("is of a few registries at most, however many names an image has", () => {
    const RepoDigests = Array.from({ length: 50 }, (_, i) => `r${i}.org/x@sha256:aa`);
    const origin = imageOrigin({ Id, RepoDigests }, NAME);

    assert.equal(origin.kind === "registry" && origin.references.length, 4);
  });
});
