/** A range of IPv4 addresses, as CIDR writes it. */
export interface Subnet {
  /** Its first address, as a number. */
  readonly first: number;
  readonly bits: number;
}

/** @throws TypeError for anything but `a.b.c.d/bits` of IPv4 */
export function parseSubnet(text: string): Subnet {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  const [a, b, c, d, bits] = (match?.slice(1) ?? []).map(Number);
  const numbers = [a, b, c, d].map((part) => part ?? 256);
  if (bits === undefined || bits > 32 || numbers.some((part) => part > 255)) {
    throw new TypeError(`"${text}" is no subnet, expected one as 10.213.0.0/16`);
  }
  const address = numbers.reduce((sum, part) => sum * 256 + part, 0);
  return { first: address - (address % sizeOf(bits)), bits };
}

export function showSubnet({ first, bits }: Subnet): string {
  return `${showAddress(first)}/${bits}`;
}

/** The address that the host has in it: the first that a host can have. */
export function gatewayOf({ first }: Subnet): string {
  return showAddress(first + 1);
}

function showAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return one.first < other.first + sizeOf(other.bits) && other.first < one.first + sizeOf(one.bits);
}

/** The first subnets of that size in `base` that no other overlaps. @throws RangeError if there are not so many */
export function freeSubnets(base: Subnet, bits: number, count: number, taken: readonly Subnet[]): readonly Subnet[] {
  const found: Subnet[] = [];
  for (let first = base.first; first < base.first + sizeOf(base.bits) && found.length < count; first += sizeOf(bits)) {
    const subnet = { first, bits };
    if (!taken.some((other) => overlap(subnet, other))) found.push(subnet);
  }
  if (found.length === count) return found;
  throw new RangeError(`${showSubnet(base)} has room for ${found.length} more subnets of /${bits}, not for ${count}`);
}

function sizeOf(bits: number): number {
  return 2 ** (32 - bits);
}
