import { createSocket } from "node:dgram";
import { once } from "node:events";

export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly ttl?: number }
  | { readonly type: "SRV"; readonly target: string; readonly port: number; readonly ttl?: number };

/** A DNS server on loopback, over UDP. Disposing it closes it. */
export interface DnsServer extends AsyncDisposable {
  /** `host:port` */
  readonly address: string;
  /** What it knows, by name; a name that is not there does not exist. */
  readonly zone: Map<string, readonly DnsRecord[]>;
  /** Questions that it was asked. */
  readonly asked: number;
  /** True: it answers nothing. */
  silent: boolean;
}

const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;
const NO_SUCH_NAME = 3;

export async function dnsServer(): Promise<DnsServer> {
  const socket = createSocket("udp4");
  const zone = new Map<string, readonly DnsRecord[]>();
  const state = { asked: 0, silent: false };
  socket.on("message", (query, { port, address }) => {
    state.asked += 1;
    if (!state.silent) socket.send(answerTo(query, zone), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    zone,
    get asked() {
      return state.asked;
    },
    get silent() {
      return state.silent;
    },
    set silent(silent) {
      state.silent = silent;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

function answerTo(query: Buffer, zone: ReadonlyMap<string, readonly DnsRecord[]>): Buffer {
  const { name, type, end } = questionOf(query);
  const known = zone.get(name);
  const records = (known ?? []).filter((record) => TYPES[record.type] === type);
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | (known === undefined ? NO_SUCH_NAME : 0), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, query.subarray(12, end), ...records.map(encoded)]);
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("ascii", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function encoded(record: DnsRecord): Buffer {
  const data = dataOf(record);
  const head = Buffer.alloc(12);
  // The question's name, wherever it is asked.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(record.ttl ?? 60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function dataOf(record: DnsRecord): Buffer {
  if (record.type === "SRV") {
    const labels = record.target.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
    const numbers = Buffer.alloc(6);
    numbers.writeUInt16BE(record.port, 4);
    return Buffer.concat([numbers, ...labels, Buffer.from([0])]);
  }
  return record.type === "A" ? Buffer.from(record.address.split(".").map(Number)) : sixteenBytes(record.address);
}

function sixteenBytes(address: string): Buffer {
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const zeros = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array.from({ length: zeros }, () => "0"), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
