import { parseImage } from "./image-reference.ts";

export interface CachedImage {
  readonly id: string;
  /** Its names, as Docker lists them. */
  readonly tags: readonly string[];
  readonly bytes: number;
}

export interface ImageCacheOptions {
  /** Images are over capacity from here on, those in use counted in. */
  readonly maxBytes: number;
  /** Images with such a name are left alone, and not counted. */
  readonly exemptTags: readonly string[];
  /** Told when something may have become due for removal. */
  readonly changed: () => void;
}

/** Which image goes first: the least recently used of those that nobody uses. Does no I/O. */
export class ImageCache {
  readonly #maxBytes: number;
  readonly #exempt: ReadonlySet<string>;
  readonly #changed: () => void;
  /** Not in use, the least recently used first. */
  readonly #idle = new Map<string, CachedImage>();
  readonly #busy = new Map<string, { readonly image: CachedImage; users: number }>();
  #idleBytes = 0;
  #busyBytes = 0;

  constructor({ maxBytes, exemptTags, changed }: ImageCacheOptions) {
    this.#maxBytes = maxBytes;
    this.#exempt = new Set(exemptTags.map(fullName));
    this.#changed = changed;
  }

  get overCapacity(): boolean {
    return this.#idle.size > 0 && this.#idleBytes + this.#busyBytes >= this.#maxBytes;
  }

  /** An image is on the machine. One that is known stays as it is. */
  learn(image: CachedImage): void {
    if (!this.#idle.has(image.id)) this.update(image);
  }

  /** An image was used just now. One in use stays as it is. */
  update(image: CachedImage): void {
    if (this.#isExempt(image) || this.#busy.has(image.id)) return;
    this.#takeIdle(image.id);
    this.#idle.set(image.id, image);
    this.#idleBytes += image.bytes;
    this.#tell();
  }

  /** Somebody begins to use an image; it is no candidate until everybody has let go of it. */
  hold(image: CachedImage): void {
    if (this.#isExempt(image)) return;
    const held = this.#busy.get(image.id);
    if (held !== undefined) {
      held.users += 1;
      return;
    }
    this.#takeIdle(image.id);
    this.#busy.set(image.id, { image, users: 1 });
    this.#busyBytes += image.bytes;
    this.#tell();
  }

  release({ id }: Pick<CachedImage, "id">): void {
    const held = this.#busy.get(id);
    if (held === undefined) return;
    held.users -= 1;
    if (held.users > 0) return;
    this.#busy.delete(id);
    this.#busyBytes -= held.image.bytes;
    this.update(held.image);
  }

  /** Takes out the image that is to go first. */
  pop(): CachedImage | undefined {
    const [first] = this.#idle.values();
    if (first !== undefined) this.#takeIdle(first.id);
    return first;
  }

  #takeIdle(id: string): void {
    const image = this.#idle.get(id);
    if (image === undefined) return;
    this.#idle.delete(id);
    this.#idleBytes -= image.bytes;
  }

  #isExempt({ tags }: CachedImage): boolean {
    return tags.some((tag) => this.#exempt.has(fullName(tag)));
  }

  #tell(): void {
    if (this.overCapacity) this.#changed();
  }
}

/** `busybox` and `busybox:latest` are one name. */
function fullName(name: string): string {
  const { registry, repository, tag, digest } = parseImage(name);
  return `${registry}/${repository}${digest === "" ? `:${tag}` : `@${digest}`}`;
}
