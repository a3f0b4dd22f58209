import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Client } from "undici";

import type { HeaderList } from "../../../core/call.ts";
import { eventually } from "../../../kiln/testing/eventually.ts";
import { functionClient, type FunctionClient, type FunctionRequest } from "../../../runner/hot/function-client.ts";
import { InvalidResponse } from "../../../runner/hot/response-head.ts";

interface Site extends AsyncDisposable {
  readonly client: FunctionClient;
  readonly socketPath: string;
  readonly connections: () => number;
}

async function serving(server: Server): Promise<Site> {
  const directory = await mkdtemp(join(tmpdir(), "kiln-client-"));
  const socketPath = join(directory, "lsnr.sock");
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(socketPath);
  await once(server, "listening");
  const client = functionClient({ socketPath, maxHeaderBytes: 4_096 });
  return {
    client,
    socketPath,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await client.close();
      for (const socket of sockets) socket.destroy();
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Answers every request, however it comes, with these bytes, piece by piece. */
function saying(pieces: readonly string[], thenEnd = false): Server {
  return createServer((socket) => {
    socket.on("data", () => {
      void (async () => {
        for (const piece of pieces) {
          socket.write(piece, "latin1");
          if (pieces.length > 1) await sleep(1);
        }
        if (thenEnd) socket.end();
      })();
    });
  });
}

interface Answered {
  /** It was told that the function may see the call. */
  begun: boolean;
  status: number;
  headers: HeaderList;
  body: Buffer;
  failure: Error | undefined;
}

function ask(
  client: FunctionClient,
  { headers = [], body = { whole: new Uint8Array() } }: Partial<FunctionRequest> = {},
): Promise<Answered> {
  return new Promise((resolve) => {
    const answered: Answered = { begun: false, status: 0, headers: [], body: Buffer.alloc(0), failure: undefined };
    client.send(
      { headers, body },
      {
        begun: () => void (answered.begun = true),
        head: (status, fields) => Object.assign(answered, { status, headers: fields }),
        data: (bytes) => {
          answered.body = Buffer.concat([answered.body, bytes]);
          return true;
        },
        end: () => resolve(answered),
        failed: (failure) => resolve({ ...answered, failure }),
      },
    );
  });
}

const echo: RequestListener = (request, response) => {
  response.writeHead(200, {
    "Content-Type": "text/plain",
    "X-Asked": `${request.method} ${request.url}`,
    "Set-Cookie": ["a=1", "b=2"],
  });
  request.pipe(response);
};

/** What is there at a time, in pieces. */
async function* comes(...times: readonly (readonly string[])[]): AsyncGenerator<readonly Uint8Array[]> {
  for (const pieces of times) {
    await sleep(1);
    yield pieces.map((text) => Buffer.from(text));
  }
}

describe("functionClient", { timeout: 30_000 }, () => {
  for (const size of [0, 5, 20_000, 300_000]) {
    it(`is to a function what undici is: a body of ${size} bytes, whole and in pieces`, async () => {
      const seen: string[][] = [];
      await using site = await serving(
        createHttpServer((request, response) => {
          seen.push(request.rawHeaders);
          echo(request, response);
        }),
      );
      const whole = Buffer.alloc(size, "x");
      const headers = [
        ["Content-Type", "text/plain"],
        ["x-twice", "1"],
        ["X-Twice", "2"],
        ["X-Latin", "g\xfcn"],
      ] as const;
      const other = new Client("http://localhost", { socketPath: site.socketPath });

      const ours = await ask(site.client, { headers, body: { whole } });
      const streamed = await ask(site.client, {
        headers,
        body: { stream: comes(["x".repeat(size)], [], [""], ["y", "", "z"]) },
      });
      const theirs = await other.request({ path: "/call", method: "POST", headers: headers.flat(), body: whole });

      assert.equal(ours.failure, undefined);
      assert.equal(ours.status, theirs.statusCode);
      assert.ok(ours.body.equals(Buffer.from(await theirs.body.arrayBuffer())));
      assert.equal(streamed.body.toString(), `${"x".repeat(size)}yz`);
      assert.deepEqual(
        ours.headers.filter(([name]) => name === "Set-Cookie"),
        [
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ],
      );
      const [mine = [], , undicis = []] = seen.map((raw) => pairs(raw).sort());
      assert.deepEqual(mine, undicis);
      await other.close();
    });
  }

  it("uses a connection again, one for each call that runs, and none that has rested for a second", async () => {
    let now = 0;
    const waiting: (() => void)[] = [];
    await using site = await serving(
      createHttpServer((request, response) => waiting.push(() => echo(request, response))),
    );
    const clock = { now: () => now, wallMs: () => 0, after: () => () => {} };
    const client = functionClient({ socketPath: site.socketPath, maxHeaderBytes: 4_096, clock });
    const answerAll = async (calls: number) => {
      await eventually(() => assert.equal(waiting.length, calls));
      for (const answer of waiting.splice(0)) answer();
    };

    const two = [ask(client), ask(client)];
    await answerAll(2);
    assert.deepEqual(
      (await Promise.all(two)).map(({ status }) => status),
      [200, 200],
    );
    assert.equal(site.connections(), 2);

    const third = ask(client);
    await answerAll(1);
    await third;
    assert.equal(site.connections(), 2);

    now = 1_000;
    const fourth = ask(client);
    await answerAll(1);
    await fourth;
    assert.equal(site.connections(), 3);
    await client.close();
  });

  const GOOD = {
    "in one piece": ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
    "byte by byte":
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1;x=y\r\ni\r\n0\r\nTrailer: t\r\n\r\n".split(""),
    "after an announcement": ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"],
    "without a reason": ["HTTP/1.1 200\r\ncontent-length:2\r\n\r\nhi"],
  };
  for (const [how, said] of Object.entries(GOOD)) {
    it(`understands an answer ${how}`, async () => {
      await using site = await serving(saying(said));

      for (const _ of ["first", "second"]) {
        const { status, body, failure } = await ask(site.client);

        assert.deepEqual([status, body.toString(), failure], [200, "hi", undefined]);
      }
      assert.equal(site.connections(), 1);
    });
  }

  it("takes an answer without a length to the end of its connection", async () => {
    await using site = await serving(saying(["HTTP/1.0 200 OK\r\n\r\nh", "i"], true));

    const { body, failure } = await ask(site.client);

    assert.deepEqual([body.toString(), failure], ["hi", undefined]);
  });

  const CLOSING = {
    "says that it closes": "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
    "keeps connections for too short a time": "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi",
    "speaks HTTP/1.0": "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "says more than it was asked for":
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
  };
  for (const [what, said] of Object.entries(CLOSING)) {
    it(`uses no connection again of a function that ${what}`, async () => {
      await using site = await serving(saying([said]));

      for (const _ of ["first", "second"]) assert.equal((await ask(site.client)).body.toString(), "hi");

      assert.equal(site.connections(), 2);
    });
  }

  const BAD = {
    "no HTTP": "SSH-2.0-OpenSSH_9\r\n\r\n",
    "HTTP/2": "HTTP/2 200\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "a length that is none": "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nhi",
    "length and chunks": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a folded line": "HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "a name with a space": "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi",
    "a bare line feed": "HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nhi",
    "a chunk that is no number": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n0\r\n\r\n",
    "a chunk that goes on": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhih\r\n0\r\n\r\n",
    "another protocol": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
  };
  for (const [what, said] of Object.entries(BAD)) {
    it(`refuses ${what}`, async () => {
      await using site = await serving(saying([said]));

      const { failure } = await ask(site.client);

      assert.ok(failure instanceof InvalidResponse, String(failure));
    });
  }

  it("bounds the headers, and says so, however they come", async () => {
    for (const said of [
      ["HTTP/1.1 200 OK\r\n", `X-Long: ${"x".repeat(4_100)}`],
      [`HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(4_100)}\r\n\r\n`],
    ]) {
      await using site = await serving(saying(said));

      const { failure } = await ask(site.client);

      assert.ok(failure instanceof InvalidResponse && failure.headTooLong);
    }
  });

  it("tells that an answer broke off, and one that never came", async () => {
    for (const said of [
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhi",
      "HTTP/1.1 200",
      "",
    ]) {
      await using site = await serving(saying([said], true));

      const { failure } = await ask(site.client);

      assert.match(String(failure), /it was closed before the answer was complete/);
    }
  });

  it("stops the sending when it has the answer, and uses that connection no more", async () => {
    await using site = await serving(saying(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"]));
    let returned = false;
    const endless = async function* () {
      try {
        for (;;) {
          await sleep(1);
          yield [Buffer.alloc(1_000)];
        }
      } finally {
        returned = true;
      }
    };

    const { body, failure } = await ask(site.client, { body: { stream: endless() } });

    assert.deepEqual([body.toString(), failure], ["early", undefined]);
    await eventually(() => assert.equal(returned, true));
    await ask(site.client);
    assert.equal(site.connections(), 2);
  });

  it("ends an exchange at once, whether it has a connection or not", async () => {
    await using site = await serving(createHttpServer(() => {}));
    const reason = new Error("gone");
    for (const waitMs of [0, 20]) {
      const failed = new Promise<Error>((resolve) => {
        const exchange = site.client.send(
          { headers: [], body: { whole: new Uint8Array() } },
          { begun() {}, head() {}, data: () => true, end() {}, failed: resolve },
        );
        setTimeout(() => exchange.abort(reason), waitMs);
      });

      assert.equal(await failed, reason);
    }
  });

  it("reads no further than its reader wants, and carries another exchange afterwards", async () => {
    await using site = await serving(createHttpServer((_request, response) => response.end(Buffer.alloc(4_000_000))));
    let bytes = 0;
    let most = 0;
    await new Promise<void>((resolve, reject) => {
      let unread = 0;
      const exchange = site.client.send(
        { headers: [], body: { whole: new Uint8Array() } },
        {
          begun() {},
          head() {},
          data(chunk) {
            bytes += chunk.length;
            unread += chunk.length;
            most = Math.max(most, unread);
            setTimeout(() => {
              unread = 0;
              exchange.resume();
            }, 1);
            return false;
          },
          end: resolve,
          failed: reject,
        },
      );
    });

    assert.equal(bytes, 4_000_000);
    assert.ok(most <= 128 * 1_024, `${most} bytes came unasked`);
    assert.equal((await ask(site.client)).body.length, 4_000_000);
    assert.equal(site.connections(), 1);
  });

  it("tells what keeps it from connecting", async () => {
    const client = functionClient({ socketPath: "/nonexistent/lsnr.sock", maxHeaderBytes: 4_096 });

    const { begun, failure } = await ask(client);

    assert.equal(begun, false);
    assert.match(String(failure), /ENOENT/);
  });
});

function pairs(raw: readonly string[]): string[] {
  const list: string[] = [];
  for (let i = 0; i < raw.length; i += 2) list.push(`${raw[i]?.toLowerCase()}: ${raw[i + 1]}`);
  return list;
}
