/**
 * Where a server's API is: its origin, and the path in front of `/v2`, if it has one behind a proxy.
 * @throws Error naming the URL and what was expected
 */
export function apiBase(text: string): { readonly origin: string; readonly path: string } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new Error(`"${text}" is no address of an API, expected one such as http://fn-api:8080`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new Error(
      `The address of the API at ${url.host} has a user in it, expected none: a token is a setting of its own`,
    );
  }
  return { origin: url.origin, path: url.pathname.replace(/\/+(v2\/*)?$/, "") };
}
