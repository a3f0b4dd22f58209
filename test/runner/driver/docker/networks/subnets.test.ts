import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { freeSubnets, overlap, parseSubnet, showSubnet } from "../../../../../runner/driver/docker/networks/subnets.ts";

describe("subnets", () => {
  it("are read and written as CIDR, from any address in them", () => {
    assert.equal(showSubnet(parseSubnet("10.213.0.0/16")), "10.213.0.0/16");
    assert.equal(showSubnet(parseSubnet("10.213.7.9/22")), "10.213.4.0/22");
    assert.equal(showSubnet(parseSubnet("255.255.255.255/32")), "255.255.255.255/32");
    for (const wrong of ["", "10.0.0.0", "10.0.0/8", "256.0.0.0/8", "10.0.0.0/33", "fd00::/64"]) {
      assert.throws(() => parseSubnet(wrong), /is no subnet, expected one as/, wrong);
    }
  });

  it("overlap where one has an address of the other", () => {
    const overlaps = (one: string, other: string) => overlap(parseSubnet(one), parseSubnet(other));

    assert.equal(overlaps("10.0.0.0/8", "10.255.0.0/16"), true);
    assert.equal(overlaps("10.255.0.0/16", "10.0.0.0/8"), true);
    assert.equal(overlaps("10.0.0.0/24", "10.0.1.0/24"), false);
  });

  it("are the first free ones, beside all that is taken", () => {
    const taken = ["10.213.0.0/22", "10.213.8.0/30", "172.17.0.0/16"].map(parseSubnet);

    const free = freeSubnets(parseSubnet("10.213.0.0/16"), 22, 3, taken);

    assert.deepEqual(free.map(showSubnet), ["10.213.4.0/22", "10.213.12.0/22", "10.213.16.0/22"]);
    assert.throws(() => freeSubnets(parseSubnet("10.213.0.0/20"), 22, 4, taken), {
      name: "RangeError",
      message: "10.213.0.0/20 has room for 2 more subnets of /22, not for 4",
    });
  });
});
