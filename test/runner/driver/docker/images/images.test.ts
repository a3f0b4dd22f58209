import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { CallError } from "../../../../../core/call-error.ts";
import { dockerOrSkip } from "../../../../../kiln/testing/docker.ts";
import { engineClient } from "../../../../../kiln/testing/engine-client.ts";
import { engineProxy } from "../../../../../kiln/testing/engine-proxy.ts";
import {
  fakeRegistry,
  type FakeRegistry,
  type FakeRegistryOptions,
} from "../../../../../kiln/testing/fake-registry.ts";
import { connectEngine } from "../../../../../runner/driver/docker/engine.ts";
import type { ImageRequest } from "../../../../../runner/driver/docker/images/image-access.ts";
import { createImages } from "../../../../../runner/driver/docker/images/images.ts";

const { engine, host, skip } = await dockerOrSkip();
const client = engineClient(engine);
const forever = new AbortController().signal;

/** A registry, and its image away from the daemon when the test is over. */
async function registryFor(
  t: TestContext,
  options: FakeRegistryOptions = {},
): Promise<FakeRegistry & { image: string }> {
  const registry = await fakeRegistry(options);
  const image = `${registry.host}/cheese:1`;
  t.after(async () => {
    await registry[Symbol.asyncDispose]();
    await engine
      .getImage(image)
      .remove()
      .catch(() => {});
  });
  return Object.assign(registry, { image });
}

const asked = (image: string, registryToken = ""): ImageRequest => ({ image, appName: "dairy", registryToken });

const isThere = (image: string) =>
  engine
    .getImage(image)
    .inspect()
    .then(
      () => true,
      () => false,
    );

describe("images", { skip, timeout: 60_000 }, () => {
  it("are pulled when absent, and only then", async (t) => {
    const registry = await registryFor(t);
    await using images = createImages(client);

    await images.prepare(asked(registry.image), forever);
    const before = registry.manifestRequests;
    await images.prepare(asked(registry.image), forever);

    assert.equal(await isThere(registry.image), true);
    assert.ok(before > 0);
    assert.equal(registry.manifestRequests, before);
  });

  it("are pulled with the call's registry token", async (t) => {
    const registry = await registryFor(t, { token: "rennet" });
    await using images = createImages(client);

    await assert.rejects(images.prepare(asked(registry.image, "whey"), forever), { code: "image_pull_failed" });
    assert.equal(await isThere(registry.image), false);
    await images.prepare(asked(registry.image, "rennet"), forever);

    assert.equal(await isThere(registry.image), true);
  });

  it("that a registry does not have keep Docker's words and a 4xx", async (t) => {
    const registry = await registryFor(t);
    await using images = createImages(client);
    const missing = `${registry.host}/cheese:2`;

    await assert.rejects(images.prepare(asked(missing), forever), (error) => {
      assert.ok(error instanceof CallError);
      assert.equal(error.code, "image_pull_failed");
      assert.equal(error.status, 404);
      assert.ok(
        error.message.startsWith(`Failed to pull image '${missing}': manifest for ${missing} not found`),
        error.message,
      );
      return true;
    });
  });

  it("on a registry that cannot be reached are a 502", async () => {
    await using images = createImages(client);

    const pulled = images.prepare(asked("127.0.0.1:1/cheese:1"), forever);

    await assert.rejects(pulled, {
      code: "image_pull_failed",
      status: 502,
      message: /127\.0\.0\.1:1\/cheese:1': .*refused/,
    });
  });

  it("are pulled in bounded time", async (t) => {
    const registry = await registryFor(t);
    t.after(registry.hold());
    await using images = createImages(client, { pullTimeoutMs: 300 });

    await assert.rejects(images.prepare(asked(registry.image), forever), { code: "image_pull_timeout", status: 504 });
  });

  it("are pulled once for many, even if the first to ask leaves", async (t) => {
    const registry = await registryFor(t);
    const release = registry.hold();
    await using images = createImages(client);
    const first = new AbortController();
    const leaving = images.prepare(asked(registry.image), first.signal);
    const staying = Array.from({ length: 5 }, () => images.prepare(asked(registry.image), forever));
    while (registry.manifestRequests === 0) await sleep(10);

    first.abort(new CallError("client_cancel"));
    await assert.rejects(leaving, { code: "client_cancel" });
    const before = registry.manifestRequests;
    release();
    await Promise.all(staying);

    // The daemon asks by name, and perhaps again by digest; five pulls would ask at least five times.
    assert.ok(registry.manifestRequests - before <= 2, `${registry.manifestRequests} requests`);
  });

  it("are pulled 2 times for 20 who want 2 (Fn's TestImagePullConcurrent1)", async (t) => {
    await using proxy = await engineProxy(host);
    const registries = [await registryFor(t), await registryFor(t)];
    const release = registries.map((registry) => registry.hold());
    await using images = createImages(engineClient(connectEngine({ host: proxy.host })));
    const pulls = () => proxy.requests.filter((line) => line.startsWith("POST /images/create")).length;

    const all = Array.from({ length: 20 }, (_, i) => images.prepare(asked(registries[i % 2]?.image ?? ""), forever));
    while (registries.some(({ manifestRequests }) => manifestRequests === 0)) await sleep(10);
    for (const go of release) go();
    await Promise.all(all);

    assert.equal(pulls(), 2);
  });

  it("are pulled a few at a time, the others in their turn", async (t) => {
    const registries = [await registryFor(t), await registryFor(t)];
    const release = registries.map((registry) => registry.hold());
    await using images = createImages(client, { pullsAtOnce: 1 });
    const all = registries.map(({ image }) => images.prepare(asked(image), forever));
    const busy = () => registries.filter(({ manifestRequests }) => manifestRequests > 0).length;

    while (busy() === 0) await sleep(10);
    await sleep(100);
    const atOnce = busy();
    for (const go of release) go();
    await Promise.all(all);

    assert.equal(atOnce, 1);
    assert.equal(busy(), 2);
  });

  it("fail once for all who wait or ask soon after, with the registry's words (Fn's TestImagePullConcurrent2)", async (t) => {
    await using proxy = await engineProxy(host);
    const registry = await registryFor(t);
    await using images = createImages(engineClient(connectEngine({ host: proxy.host })));

    const all = Array.from({ length: 10 }, () => images.prepare(asked(`${registry.host}/quark:1`), forever));

    for (const one of all) await assert.rejects(one, { code: "image_pull_failed", message: /quark:1 not found/ });
    const pulls = () => proxy.requests.filter((line) => line.startsWith("POST /images/create")).length;
    assert.equal(pulls(), 1);
    await assert.rejects(images.prepare(asked(`${registry.host}/quark:1`), forever), {
      code: "image_pull_failed",
      status: 404,
      message: /quark:1 not found.*as it was \d+ ms ago, and is asked again after 5000 ms, FN_IMAGE_REFUSAL_MSECS/,
    });
    assert.equal(pulls(), 1);
  });

  const retries = { retries: 10, minDelayMs: 20, stepMs: 0, maxDelayMs: 20, on: ["toomanyrequests"] } as const;

  it("are pulled past a registry that wants less (Fn's TestDockerPullRetries)", async (t) => {
    const registry = await registryFor(t, { tooManyRequests: 1 });
    await using images = createImages(client, { retries });

    using _held = await images.prepare(asked(registry.image), forever);

    assert.equal(await isThere(registry.image), true);
  });

  it("are not pulled again without such a policy, and the registry's words are kept (Fn's TestDockerPullNoRetry)", async (t) => {
    const registry = await registryFor(t, { tooManyRequests: 1_000 });
    await using images = createImages(client, { retries: { ...retries, on: ["5xx"] } });

    await assert.rejects(images.prepare(asked(registry.image), forever), {
      code: "image_pull_failed",
      message: /toomanyrequests/,
    });
  });

  it("are not waited for any longer than their caller wants", async (t) => {
    const registry = await registryFor(t);
    t.after(registry.hold());
    await using images = createImages(client);

    const waited = images.prepare(asked(registry.image), AbortSignal.timeout(200));

    await assert.rejects(waited, { name: "CallError" });
  });

  it("with a VOLUME are refused, unless that is allowed", async (t) => {
    const registry = await registryFor(t, { volumes: ["/data"] });
    await using strict = createImages(client);
    await using lenient = createImages(client, { allowVolumes: true });

    await assert.rejects(strict.prepare(asked(registry.image), forever), {
      code: "image_has_volume",
      status: 400,
      message: `image has Volume definition: '${registry.image}' declares /data`,
    });
    await lenient.prepare(asked(registry.image), forever);
  });

  it("are pulled anew by whoever asks while they are being removed", async (t) => {
    const registry = await registryFor(t);
    const removing = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    const docker = Object.create(engine) as typeof engine;
    docker.listImages = () => Promise.resolve([]);
    docker.getImage = (name) => {
      const image = engine.getImage(name);
      const remove: typeof image.remove = image.remove.bind(image);
      return Object.assign(image, {
        async remove() {
          removing.resolve();
          await goOn.promise;
          return await remove();
        },
      });
    };
    await using images = createImages(engineClient(docker), { cleaning: { maxBytes: 0, exemptTags: [] } });
    (await images.prepare(asked(registry.image), forever))[Symbol.dispose]();
    await removing.promise;

    const again = images.prepare(asked(registry.image), forever);
    await sleep(100);
    goOn.resolve();

    using _held = await again;
    await sleep(100);
    assert.equal(await isThere(registry.image), true);
  });
});
