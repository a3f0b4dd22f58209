import assert from "node:assert/strict";
import { getEventListeners, once } from "node:events";
import * as http2 from "node:http2";
import { describe, it } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";

import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientRequest } from "@connectrpc/connect/protocol";

import { eventFedClient } from "../../../gateway/runnerpool/http2-client.ts";
import { failsWith } from "../../../kiln/testing/fails-with.ts";
import { connectedPeer, type Http2Peer } from "../../../kiln/testing/http2-peer.ts";

function answering(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
): Promise<Http2Peer> {
  const server = http2.createServer();
  server.on("stream", onStream);
  return connectedPeer(server);
}

/** The session on the server's side of a peer with one session. */
async function serverSide(server: http2.Http2Server): Promise<http2.ServerHttp2Session> {
  const [session] = (await once(server, "session")) as [http2.ServerHttp2Session];
  return session;
}

function post(url: string, more: Partial<UniversalClientRequest> = {}): UniversalClientRequest {
  return {
    url: `${url}/some/path?a=b`,
    method: "POST",
    header: new Headers({ "x-one": "1" }),
    body: chunks("x"),
    ...more,
  };
}

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

/** A body that goes on until its consumer returns it. */
function endless(chunk: Uint8Array): {
  readonly body: AsyncIterable<Uint8Array>;
  readonly seen: { bytes: number; returned: boolean };
} {
  const seen = { bytes: 0, returned: false };
  const iterator: AsyncIterableIterator<Uint8Array> = {
    next: async () => {
      await setImmediate();
      seen.bytes += chunk.length;
      return { done: false, value: chunk };
    },
    return: async () => {
      seen.returned = true;
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return { body: iterator, seen };
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const chunk of body) all.push(chunk);
  return Buffer.concat(all).toString();
}

describe("eventFedClient", () => {
  it("sends method, path, headers and body, and gives back status, headers, body and trailers", async () => {
    await using peer = await answering((stream, headers) => {
      stream.respond(
        { ":status": 207, "x-two": ["2", "two"], "set-cookie": ["a=1", "b=2"] },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "x-late": "yes" }));
      stream.write(`${headers[":method"]} ${headers[":path"]} ${String(headers["x-one"])} `);
      stream.pipe(stream);
    });

    const response = await peer.client(post(peer.url, { body: chunks("a", "b", "c") }));

    assert.equal(response.status, 207);
    assert.equal(response.header.get("x-two"), "2, two");
    assert.deepEqual(response.header.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(await textOf(response.body), "POST /some/path?a=b 1 abc");
    assert.equal(response.trailer.get("x-late"), "yes");
  });

  it("reads a response whose peer has long finished sending it", async (t) => {
    await using peer = await answering((stream) => {
      stream.resume();
      stream.respond({ ":status": 200 });
      stream.end("complete");
    });
    // What this client is there for. No assertion: the runtime decides.
    t.diagnostic(`iterating the stream itself 20 ms late: ${await iteratedLate(peer.session)}`);

    const response = await peer.client(post(peer.url));
    await sleep(20);

    assert.equal(await textOf(response.body), "complete");
  });

  it("delivers all of a body larger than every buffer to a reader that is always late", async () => {
    const size = 1024 * 1024;
    await using peer = await answering((stream) => {
      stream.resume();
      stream.respond({ ":status": 200 });
      stream.end(Buffer.alloc(size, "z"));
    });

    const response = await peer.client(post(peer.url));
    let received = 0;
    let late = 0;
    for await (const chunk of response.body) {
      received += chunk.length;
      if (late++ % 16 === 0) await sleep(5);
    }

    assert.equal(received, size);
  });

  it("holds a bounded part of a body that nobody reads yet", async () => {
    const chunk = Buffer.alloc(16 * 1024);
    let written = 0;
    await using peer = await answering((stream) => {
      stream.resume();
      stream.respond({ ":status": 200 });
      const more = () => {
        while (written < 64 * 1024 * 1024) {
          written += chunk.length;
          if (!stream.write(chunk)) return void stream.once("drain", more);
        }
        stream.end();
      };
      more();
    });

    const response = await peer.client(post(peer.url));
    await settled(() => written);

    // Queue, stream and HTTP/2 window on this side, stream and window on the other.
    assert.ok(written < 1024 * 1024, `${written} bytes were written`);
    assert.ok((await response.body[Symbol.asyncIterator]().next()).value instanceof Uint8Array);
  });

  it("takes no more of the request than the peer reads", async () => {
    const { body, seen } = endless(Buffer.alloc(16 * 1024));
    await using peer = await answering((stream) => stream.respond({ ":status": 200 }));

    await peer.client(post(peer.url, { body }));
    await settled(() => seen.bytes);

    assert.ok(seen.bytes < 1024 * 1024, `${seen.bytes} bytes were taken`);
    assert.equal(seen.returned, false);
  });

  it("stops sending when the response is complete", async () => {
    const { body, seen } = endless(Buffer.alloc(16 * 1024));
    const closed = Promise.withResolvers<void>();
    await using peer = await answering((stream) => {
      stream.on("close", () => closed.resolve());
      stream.resume();
      stream.respond({ ":status": 413 });
      stream.end("too big");
    });

    const response = await peer.client(post(peer.url, { body }));

    assert.equal(response.status, 413);
    assert.equal(await textOf(response.body), "too big");
    assert.equal(seen.returned, true);
    await closed.promise;
  });

  it("fails with what the request body threw, and resets the stream", async () => {
    const reset = Promise.withResolvers<number>();
    await using peer = await answering((stream) => stream.on("close", () => reset.resolve(stream.rstCode ?? -1)));
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("a");
      throw new Error("out of paper");
    }

    await assert.rejects(peer.client(post(peer.url, { body: broken() })), failsWith(Code.Internal, /out of paper/));

    assert.equal(await reset.promise, http2.constants.NGHTTP2_CANCEL);
  });
});

describe("eventFedClient, cancelled", () => {
  it("resets the stream with CANCEL, before the answer and in the middle of it, and leaves no listener", async () => {
    for (const answers of [false, true]) {
      const reset = Promise.withResolvers<number>();
      const arrived = Promise.withResolvers<void>();
      await using peer = await answering((stream) => {
        stream.on("close", () => reset.resolve(stream.rstCode ?? -1));
        if (answers) stream.respond({ ":status": 200 });
        if (answers) stream.write("part");
        arrived.resolve();
      });
      const controller = new AbortController();
      const { body, seen } = endless(Buffer.alloc(1024));

      const calling = peer.client(post(peer.url, { body, signal: controller.signal }));
      const reading = answers ? calling.then((response) => textOf(response.body)) : calling;
      await arrived.promise;
      controller.abort(new ConnectError("enough", Code.DeadlineExceeded));

      await assert.rejects(reading, failsWith(Code.DeadlineExceeded, /enough/));
      assert.equal(await reset.promise, http2.constants.NGHTTP2_CANCEL);
      assert.equal(seen.returned, true);
      assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    }
  });

  it("reads nothing more once it is cancelled, not even what has come", async () => {
    await using peer = await answering((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
    });
    const controller = new AbortController();

    const response = await peer.client(post(peer.url, { signal: controller.signal }));
    await sleep(20);
    controller.abort();

    await assert.rejects(response.body[Symbol.asyncIterator]().next(), failsWith(Code.Canceled));
  });

  it("gives up waiting for a connection", async () => {
    const controller = new AbortController();
    const client = eventFedClient(() => new Promise(() => {}));

    const calling = client(post("http://127.0.0.1:1", { signal: controller.signal }));
    controller.abort();

    await assert.rejects(calling, failsWith(Code.Canceled));
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
  });

  it("asks for no connection when it is cancelled already", async () => {
    let opened = 0;
    const client = eventFedClient(() => Promise.reject(new Error(`opened ${++opened}`)));

    await assert.rejects(client(post("http://127.0.0.1:1", { signal: AbortSignal.abort() })), failsWith(Code.Canceled));

    assert.equal(opened, 0);
  });

  it("resets the stream when the reader leaves in the middle", async () => {
    const reset = Promise.withResolvers<number>();
    await using peer = await answering((stream) => {
      stream.on("close", () => reset.resolve(stream.rstCode ?? -1));
      stream.resume();
      stream.respond({ ":status": 200 });
      stream.write("part");
    });

    const response = await peer.client(post(peer.url));
    for await (const chunk of response.body) {
      assert.equal(String(chunk), "part");
      break;
    }

    assert.equal(await reset.promise, http2.constants.NGHTTP2_CANCEL);
  });

  it("leaves no listener after a call that went well", async () => {
    const { signal } = new AbortController();
    await using peer = await answering((stream) => {
      stream.respond({ ":status": 200 });
      stream.pipe(stream);
    });

    for (let call = 0; call < 20; call++) {
      const response = await peer.client(post(peer.url, { signal }));
      assert.equal(await textOf(response.body), "x");
    }

    assert.equal(getEventListeners(signal, "abort").length, 0);
    assert.equal(peer.session.listenerCount("error"), 1);
  });
});

describe("eventFedClient, when the peer fails", () => {
  it("tells a reset by its code", async () => {
    const { constants } = http2;
    const meanings: readonly (readonly [reset: number, code: Code])[] = [
      [constants.NGHTTP2_NO_ERROR, Code.Unavailable],
      [constants.NGHTTP2_REFUSED_STREAM, Code.Unavailable],
      [constants.NGHTTP2_CANCEL, Code.Unavailable],
      [constants.NGHTTP2_INTERNAL_ERROR, Code.Internal],
      [constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.ResourceExhausted],
    ];
    await using peer = await answering((stream, headers) => stream.close(Number(headers["x-reset"])));

    for (const [reset, code] of meanings) {
      const header = new Headers({ "x-reset": String(reset) });
      await assert.rejects(peer.client(post(peer.url, { header })), failsWith(code), `reset ${reset}`);
    }
  });

  it("delivers what came before a reset, then fails", async () => {
    const goOn = Promise.withResolvers<void>();
    await using peer = await answering((stream) => {
      stream.respond({ ":status": 200 });
      stream.write("part");
      // Not close(code), which sends a clean end first.
      void goOn.promise.then(() => stream.destroy(new Error("broken")));
    });

    const response = await peer.client(post(peer.url));
    const reader = response.body[Symbol.asyncIterator]();
    await sleep(20);
    goOn.resolve();
    await sleep(20);

    assert.equal(String((await reader.next()).value), "part");
    await assert.rejects(reader.next(), failsWith(Code.Internal));
  });

  it("survives a session destroyed in mid-call, with an error that nobody else listens for", async () => {
    for (const reason of [undefined, new Error("pulled the plug")]) {
      await using peer = await answering((stream) => {
        stream.resume();
        stream.respond({ ":status": 200 });
        stream.write("part");
      });
      const response = await peer.client(post(peer.url));

      peer.session.destroy(reason);

      await assert.rejects(textOf(response.body), failsWith(Code.Unavailable, new RegExp(reason?.message ?? "closed")));
      await assert.rejects(peer.client(post(peer.url)), failsWith(Code.Unavailable, /closed|no more streams/));
    }
  });

  it("tells a lost connection from a reset, with and without an answer", async () => {
    for (const answers of [false, true]) {
      const arrived = Promise.withResolvers<void>();
      await using peer = await answering((stream) => {
        if (answers) stream.respond({ ":status": 200 });
        if (answers) stream.write("part");
        arrived.resolve();
      });

      const calling = peer.client(post(peer.url)).then((response) => textOf(response.body));
      await arrived.promise;
      peer.cut();

      await assert.rejects(calling, failsWith(Code.Unavailable, /closed|reset/));
    }
  });

  it("fails as unavailable where nobody listens, and where no session can be opened", async () => {
    const peer = await answering(() => {});
    await peer[Symbol.asyncDispose]();
    const session = http2.connect(peer.url);
    const client = eventFedClient(() => Promise.resolve(session));

    await assert.rejects(client(post(peer.url)), failsWith(Code.Unavailable, /ECONNREFUSED|refused/));

    const refusing = eventFedClient(() => Promise.reject(new Error("no such host")));
    await assert.rejects(refusing(post(peer.url)), failsWith(Code.Unavailable, /no such host/));
  });

  it("ends the calls under way after a friendly GOAWAY, and starts no others", async () => {
    const goOn = Promise.withResolvers<void>();
    await using peer = await answering((stream) => {
      stream.respond({ ":status": 200 });
      void goOn.promise.then(() => stream.end("complete"));
    });
    const accepted = serverSide(peer.server);
    const response = await peer.client(post(peer.url));

    const told = once(peer.session, "goaway");
    (await accepted).goaway(http2.constants.NGHTTP2_NO_ERROR);
    await told;

    await assert.rejects(peer.client(post(peer.url)), failsWith(Code.Unavailable));
    goOn.resolve();
    assert.equal(await textOf(response.body), "complete");
  });

  it("fails the calls under way after a GOAWAY with an error", async () => {
    await using peer = await answering((stream) => stream.respond({ ":status": 200 }));
    const accepted = serverSide(peer.server);
    const response = await peer.client(post(peer.url));

    (await accepted).goaway(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);

    await assert.rejects(textOf(response.body), failsWith(Code.Unavailable));
  });
});

/** Resolves when the number has stopped growing. */
async function settled(read: () => number): Promise<void> {
  for (let last = -1, same = 0; same < 5; await sleep(10)) {
    same = read() === last ? same + 1 : 0;
    last = read();
  }
}

/** How Node's own iteration fares under nodejs/node#65677: connect-node reads responses so. */
async function iteratedLate(session: http2.ClientHttp2Session): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.end("x");
  await once(stream, "response");
  await sleep(20);
  try {
    return await textOf(stream);
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
