import { create, fromBinary, toBinary, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import type { Client as ConnectClient } from "@connectrpc/connect";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";

import type { PkiData } from "../../core/pki.ts";
import { RunnerService } from "../../gen/kiln/runner/v1/runner_pb.ts";

/** What a test asks of a runner, whosever client it is. */
export type RunnerClient = ConnectClient<typeof RunnerService>;

// The number of gzip in grpc-js's table.
const GZIP = 2;

/** A client of gRPC's own implementation for Node, which shares no code with Connect. It always takes compressed answers. */
export function grpcJsClient(address: string, pki: PkiData, compress: boolean): RunnerClient & Disposable {
  const tls = credentials.createSsl(Buffer.from(pki.ca), Buffer.from(pki.key), Buffer.from(pki.cert));
  const client = new Client(address, tls, {
    // TLS has no server name for an address.
    "grpc.ssl_target_name_override": "localhost",
    ...(compress ? { "grpc.default_compression_algorithm": GZIP } : {}),
  });
  const { invoke, status, streamLogs, engage } = RunnerService.method;

  const unary = <I extends DescMessage, O extends DescMessage>(method: Method<I, O>) => {
    return (request: Parameters<typeof create<I>>[1], { timeoutMs }: { readonly timeoutMs?: number } = {}) =>
      new Promise<MessageShape<O>>((resolve, reject) => {
        const deadline = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
        const done = (error: ServiceError | null, answer?: MessageShape<O>) =>
          answer === undefined ? reject(error ?? new Error("grpc-js gave no answer")) : resolve(answer);
        client.makeUnaryRequest(...wireOf(method), create(method.input, request), deadline, done);
      });
  };

  return {
    invoke: unary(invoke),
    status: unary(status),
    streamLogs(request, options) {
      const call = client.makeServerStreamRequest(...wireOf(streamLogs), create(streamLogs.input, request));
      options?.signal?.addEventListener("abort", () => call.cancel(), { once: true });
      return call;
    },
    async *engage(requests) {
      const call = client.makeBidiStreamRequest(...wireOf(engage));
      const writing = (async () => {
        for await (const request of requests) call.write(create(engage.input, request));
        call.end();
      })();
      yield* call;
      await writing;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

interface Method<I extends DescMessage, O extends DescMessage> {
  readonly name: string;
  readonly input: I;
  readonly output: O;
}

/** Path, serializer and deserializer, as grpc-js wants them. */
function wireOf<I extends DescMessage, O extends DescMessage>({ name, input, output }: Method<I, O>) {
  return [
    `/${RunnerService.typeName}/${name}`,
    (request: MessageShape<I>) => Buffer.from(toBinary(input, request)),
    (bytes: Buffer): MessageShape<O> => fromBinary(output, bytes),
  ] as const;
}
