import { randomBytes } from "node:crypto";

import type { Docker } from "../../runner/driver/docker/engine.ts";

/** A Docker network with a subnet of its own, for as long as a test. */
export interface SmallNetwork extends AsyncDisposable {
  readonly name: string;
}

/** @param reserved addresses of it that Docker gives to nobody */
export async function smallNetwork(
  docker: Docker,
  subnet: string,
  reserved: readonly string[] = [],
): Promise<SmallNetwork> {
  const name = `kiln-test-${randomBytes(4).toString("hex")}`;
  const AuxiliaryAddresses = Object.fromEntries(reserved.map((address) => [`reserved-${address}`, address]));
  const IPAM = { Driver: "default", Config: [{ Subnet: subnet, AuxiliaryAddresses }] };
  const network = await docker.createNetwork({ Name: name, Driver: "bridge", IPAM } as Parameters<
    Docker["createNetwork"]
  >[0]);
  return {
    name,
    async [Symbol.asyncDispose]() {
      await network.remove();
    },
  };
}
