/** An image's name, taken apart. */
export interface ImageReference {
  /** `host` or `host:port`; empty where the name has none, which is Docker Hub. */
  readonly registry: string;
  /** Its path there, `library/` included where Docker implies it. */
  readonly repository: string;
  /** `latest` where the name has neither tag nor digest; empty beside a digest, which wins. */
  readonly tag: string;
  /** `sha256:…`, or empty. */
  readonly digest: string;
}

/** Reads a name as Docker does. It is not checked: what Docker would refuse is Docker's to refuse. */
export function parseImage(name: string): ImageReference {
  const at = name.indexOf("@");
  const digest = at < 0 ? "" : name.slice(at + 1);
  const rest = at < 0 ? name : name.slice(0, at);
  const colon = rest.lastIndexOf(":");
  // A colon before a slash belongs to a port.
  const hasTag = colon > rest.lastIndexOf("/");
  const path = hasTag ? rest.slice(0, colon) : rest;
  const tag = digest !== "" ? "" : hasTag ? rest.slice(colon + 1) : "latest";
  const slash = path.indexOf("/");
  const first = slash < 0 ? "" : path.slice(0, slash);
  if (!/[.:]|^localhost$/.test(first)) {
    return { registry: "", repository: slash < 0 ? `library/${path}` : path, tag, digest };
  }
  const repository = path.slice(slash + 1);
  const implied = isHub(first) && !repository.includes("/");
  return { registry: first, repository: implied ? `library/${repository}` : repository, tag, digest };
}

export function isHub(registry: string): boolean {
  return registry === "" || /^((index|registry-1|hub)\.)?docker\.(io|com)$/.test(registry);
}
