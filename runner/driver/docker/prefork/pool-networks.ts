import type { NetworkTrouble } from "../networks/network-trouble.ts";

/** Places for holders on a network, or why that cannot be told. */
export type Places = number | "gone" | "unknown";

interface PoolNetwork {
  readonly name: string;
  /** Holders it can have; unknown until it was looked at. */
  places: number | undefined;
  holders: number;
  trouble: NetworkTrouble | undefined;
}

/** Which network the next holder goes to: the one with most free places, among those that are not in trouble. */
export class PoolNetworks {
  readonly #networks: readonly PoolNetwork[];

  constructor(names: readonly string[]) {
    this.#networks = [...new Set(names)].map((name) => ({
      name,
      places: undefined,
      holders: 0,
      trouble: undefined,
    }));
  }

  get names(): readonly string[] {
    return this.#networks.map(({ name }) => name);
  }

  /** Those worth another look: in trouble, or without a place left. */
  get worthALook(): readonly string[] {
    return this.#networks.filter((network) => freePlaces(network) === 0).map(({ name }) => name);
  }

  get hasRoom(): boolean {
    return this.#networks.some((network) => freePlaces(network) > 0);
  }

  /** Takes a place; undefined where there is none. */
  take(): string | undefined {
    const [roomiest] = this.#networks.toSorted((a, b) => freePlaces(b) - freePlaces(a));
    if (roomiest === undefined || freePlaces(roomiest) === 0) return undefined;
    roomiest.holders += 1;
    return roomiest.name;
  }

  leave(name: string): void {
    this.#named(name).holders -= 1;
  }

  /** What a look at it showed. Returns news, if it is any. */
  looked(name: string, places: Places): NetworkTrouble | "back" | undefined {
    if (places === "unknown") return undefined;
    const network = this.#named(name);
    const before = network.trouble;
    network.places = places === "gone" ? 0 : places;
    network.trouble = places === "gone" ? "gone" : undefined;
    return network.trouble === before ? undefined : (network.trouble ?? "back");
  }

  /** A holder could not join it. Returns whether that is news. */
  failed(name: string, trouble: NetworkTrouble): boolean {
    const network = this.#named(name);
    const news = network.trouble !== trouble;
    network.trouble = trouble;
    return news;
  }

  #named(name: string): PoolNetwork {
    const found = this.#networks.find((network) => network.name === name);
    if (found === undefined) throw new TypeError(`Cannot find network "${name}" among the pool's`);
    return found;
  }
}

function freePlaces({ places = 0, holders, trouble }: PoolNetwork): number {
  return trouble === undefined ? Math.max(0, places - holders) : 0;
}
