import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ImageCache, type CachedImage } from "../../../../../runner/driver/docker/images/image-cache.ts";

const image = (id: string, bytes = 10, ...tags: string[]): CachedImage => ({
  id,
  bytes,
  tags: [`zoo/${id}:1`, ...tags],
});

function bench(maxBytes = 20, exemptTags: readonly string[] = []) {
  let told = 0;
  const cache = new ImageCache({ maxBytes, exemptTags, changed: () => (told += 1) });
  return { cache, told: () => told, pop: () => cache.pop()?.id };
}

/** The rows are Fn's TestImageCacher and TestImageCleaner, less their I/O. */
describe("ImageCache", () => {
  it("leaves exempt images alone, whatever is done with them (Fn's TestImageCacherBasic1)", () => {
    const { cache, told, pop } = bench(1, ["busybox", "zoo/lion:1"]);
    for (const exempt of [image("lion"), image("x", 10, "busybox:latest")]) {
      cache.update(exempt);
      cache.hold(exempt);
      cache.release(exempt);
    }

    assert.equal(cache.overCapacity, false);
    assert.equal(told(), 0);
    assert.equal(pop(), undefined);
  });

  it("says nothing under capacity, and gives the least recently used first (Fn's TestImageCacherBasic1)", () => {
    const { cache, told, pop } = bench(100);
    for (const id of ["lion", "tiger", "bear"]) cache.update(image(id));
    cache.update(image("lion"));

    assert.equal(told(), 0);
    assert.deepEqual([pop(), pop(), pop(), pop()], ["tiger", "bear", "lion", undefined]);
  });

  it("says so when it is over capacity, until enough is taken out (Fn's TestImageCacherBasic2)", () => {
    const { cache, told, pop } = bench(20);
    cache.update(image("lion"));
    assert.equal(cache.overCapacity, false);

    cache.update(image("tiger"));

    assert.equal(cache.overCapacity, true);
    assert.equal(told(), 1);
    assert.equal(pop(), "lion");
    assert.equal(cache.overCapacity, false);
  });

  it("never gives an image in use, however many use it (Fn's TestImageCacherBasic3)", () => {
    const { cache, told, pop } = bench(10);
    cache.hold(image("lion"));
    cache.hold(image("lion"));
    assert.equal(cache.overCapacity, false, "nothing could be removed");

    cache.release(image("lion"));
    assert.equal(pop(), undefined);
    cache.release(image("lion"));

    assert.equal(cache.overCapacity, true);
    assert.equal(told(), 1);
    assert.equal(pop(), "lion");
    cache.release(image("lion"));
    assert.equal(pop(), undefined, "letting go once more is harmless");
  });

  it("counts what is in use, so that what is not goes earlier", () => {
    const { cache, pop } = bench(30);
    cache.update(image("lion"));
    cache.hold(image("elephant", 20));

    assert.equal(cache.overCapacity, true);
    assert.equal(pop(), "lion");
    assert.equal(cache.overCapacity, false);
  });

  it("takes no notice of an update of an image in use (Fn's TestImageCacherBasic4)", () => {
    const { cache, pop } = bench(10);
    cache.hold(image("lion"));
    cache.update(image("lion"));
    assert.equal(pop(), undefined);

    cache.release(image("lion"));

    assert.equal(pop(), "lion");
  });

  it("counts an image once, though it is seen again and again", () => {
    const { cache } = bench(20);
    for (let i = 0; i < 5; i++) cache.update(image("lion"));

    assert.equal(cache.overCapacity, false);
  });
});
