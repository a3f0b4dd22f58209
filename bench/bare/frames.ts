import type { Http2Stream } from "node:http2";

/** A length and flags before each message, as Connect's streams have them. */
const HEAD_BYTES = 5;

/** Cuts a stream of bytes into its messages. */
export function onMessages(stream: Http2Stream, take: (message: Buffer) => void): void {
  let rest: Buffer[] = [];
  let restBytes = 0;
  stream.on("data", (chunk: Buffer) => {
    rest.push(chunk);
    restBytes += chunk.length;
    const [first] = rest;
    if (first !== undefined && first.length >= HEAD_BYTES && restBytes < HEAD_BYTES + first.readUInt32BE(1)) return;
    const all = rest.length === 1 ? chunk : Buffer.concat(rest);
    let at = 0;
    while (all.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + all.readUInt32BE(at + 1);
      if (end > all.length) break;
      take(all.subarray(at + HEAD_BYTES, end));
      at = end;
    }
    rest = at < all.length ? [all.subarray(at)] : [];
    restBytes = all.length - at;
  });
}

/** Gathers what is said in one turn of the event loop into one message. */
export function batched<Frame>(stream: Http2Stream, encode: (frames: Frame[]) => Uint8Array): (frame: Frame) => void {
  let waiting: Frame[] = [];
  const flush = () => {
    const bytes = encode(waiting);
    waiting = [];
    const message = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
    message[0] = 0;
    message.writeUInt32BE(bytes.length, 1);
    message.set(bytes, HEAD_BYTES);
    stream.write(message);
  };
  return (frame) => {
    if (waiting.push(frame) === 1) setImmediate(flush);
  };
}
