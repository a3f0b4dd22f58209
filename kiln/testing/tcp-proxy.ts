import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";

/** A wire between two ends that can be cut and held. Disposing it cuts what is left. */
export interface TcpProxy extends AsyncDisposable {
  readonly address: string;
  /** Connections that were made. */
  readonly connections: number;
  /** Those that are open now. */
  readonly open: number;
  /** Bytes that have come from those who connect, and from those they are connected to. */
  readonly carried: { readonly up: number; readonly down: number };
  /** Cuts the newest connection once it has carried so many more TLS records, both directions together. */
  cutAfter(records: number): void;
  /** Whether `cutAfter` has come to it. */
  readonly cut: boolean;
  /** Carries nothing more, and keeps the connections open. */
  hold(): void;
  /** Has the connections that are open carry nothing until `resume`, and then all that came meanwhile. */
  pause(): void;
  resume(): void;
}

/** Listens on a free loopback port and carries every connection to `address`. */
export async function tcpProxy(address: string): Promise<TcpProxy> {
  const [host = "", port = ""] = address.split(":");
  const wires = new Set<Socket>();
  let connections = 0;
  let open = 0;
  let left = Infinity;
  let cut = false;
  let held = false;
  const carried = { up: 0, down: 0 };

  const carry = (from: Socket, to: Socket, way: keyof typeof carried, newest: () => boolean) => {
    const countRecords = recordCounter();
    from.on("data", (chunk: Buffer) => {
      carried[way] += chunk.length;
      if (held) return;
      if (!newest()) return void to.write(chunk);
      const { bytes, records } = countRecords(chunk, left);
      left -= records;
      to.write(chunk.subarray(0, bytes));
      if (left > 0) return;
      cut = true;
      left = Infinity;
      // What was written still goes out.
      to.end(() => to.destroy());
      from.destroy();
    });
    from.on("error", () => {});
    from.on("close", () => {
      wires.delete(from);
      if (!held) to.end();
    });
    wires.add(from);
  };

  const server = createServer((near) => {
    connections += 1;
    open += 1;
    near.once("close", () => (open -= 1));
    const own = connections;
    const far = connect(Number(port), host);
    carry(near, far, "up", () => own === connections);
    carry(far, near, "down", () => own === connections);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    get open() {
      return open;
    },
    get carried() {
      return { ...carried };
    },
    cutAfter: (records) => void (left = records),
    get cut() {
      return cut;
    },
    hold: () => void (held = true),
    pause: () => wires.forEach((wire) => void wire.pause()),
    resume: () => wires.forEach((wire) => void wire.resume()),
    async [Symbol.asyncDispose]() {
      for (const wire of wires) wire.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const HEADER_BYTES = 5;

/** Follows one direction of TLS: how many records end in a chunk, and where the last one wanted does. */
function recordCounter(): (chunk: Buffer, most: number) => { bytes: number; records: number } {
  let header: number[] = [];
  let body = 0;
  return (chunk, most) => {
    let records = 0;
    for (let at = 0; at < chunk.length;) {
      if (body === 0) {
        header.push(chunk[at++] ?? 0);
        if (header.length < HEADER_BYTES) continue;
        body = (header[3] ?? 0) * 256 + (header[4] ?? 0);
        header = [];
        continue;
      }
      const step = Math.min(body, chunk.length - at);
      body -= step;
      at += step;
      if (body === 0 && ++records === most) return { bytes: at, records };
    }
    return { bytes: chunk.length, records };
  };
}
