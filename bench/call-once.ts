import { type IncomingHttpHeaders, request, type RequestOptions } from "node:http";
import { text } from "node:stream/consumers";

/** One call on a connection of its own, alike to a function and to a gateway: `fetch` takes longer once it has idled. */
export function callOnce(where: RequestOptions): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    const call = request({ ...where, method: "POST", agent: false });
    call.on("error", reject);
    call.on("response", (response) => {
      const { statusCode, headers } = response;
      text(response).then((body) => {
        if (statusCode === 200) resolve(headers);
        else reject(new Error(`A cold call failed: ${body}`));
      }, reject);
    });
    call.end("{}");
  });
}
