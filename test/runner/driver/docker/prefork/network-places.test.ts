import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { networkTrouble } from "../../../../../runner/driver/docker/networks/network-trouble.ts";
import { placesOf } from "../../../../../runner/driver/docker/prefork/network-places.ts";

const networkOf = (subnets: readonly string[], attached: readonly string[] = []) => ({
  IPAM: { Driver: "default", Config: subnets.map((Subnet) => ({ Subnet })) },
  Containers: Object.fromEntries(attached.map((id) => [id, {}])) as never,
});
const none = () => false;

describe("placesOf", () => {
  it("counts a subnet's addresses, less its own, the broadcast one, the gateway and those of others", () => {
    assert.equal(placesOf(networkOf(["10.0.0.0/29"]), none), 5);
    assert.equal(placesOf(networkOf(["10.0.0.0/30"]), none), 1);
    assert.equal(placesOf(networkOf(["10.0.0.0/32"]), none), 0);
    assert.equal(
      placesOf(networkOf(["10.0.0.0/29"], ["theirs", "ours"]), (id) => id === "ours"),
      4,
    );
  });

  it("never has more than a bridge has ports, so that four networks have four times as many", () => {
    assert.equal(placesOf(networkOf(["10.0.0.0/16"]), none), 1_023);
    assert.equal(placesOf(networkOf([]), none), 1_023);
    assert.equal(placesOf(networkOf(["fd00::/64", "10.0.0.0/29"]), none), 5);
    assert.equal(placesOf(networkOf(["10.0.0.0/16"], ["theirs"]), none), 1_022);
  });
});

describe("networkTrouble", () => {
  it("knows Docker's words", () => {
    const words = {
      full: [
        "failed to create endpoint x on network y: adding interface veth1 to bridge br-2 failed: exchange full",
        "no available IPv4 addresses on this network's address pools: net (49bb)",
      ],
      gone: ["network kpf-nosuch not found"],
    };

    for (const [trouble, messages] of Object.entries(words)) {
      for (const message of messages) assert.equal(networkTrouble(new Error(message)), trouble);
    }
    assert.equal(networkTrouble(new Error("No such container: x")), undefined);
  });
});
