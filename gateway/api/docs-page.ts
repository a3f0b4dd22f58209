import { html, raw } from "hono/html";
import { z } from "zod";

const schema = z.looseObject({ $ref: z.string().optional(), description: z.string().optional() });
const content = z.object({ "application/json": z.object({ schema }) }).partial();
const operation = z.object({
  summary: z.string(),
  tags: z.tuple([z.string()]),
  parameters: z
    .array(z.object({ name: z.string(), in: z.string(), required: z.boolean().optional(), schema }))
    .default([]),
  requestBody: z.object({ content }).optional(),
  responses: z.record(z.string(), z.object({ description: z.string(), content: content.optional() })),
});
const described = z.object({
  info: z.object({ title: z.string(), version: z.string(), description: z.string() }),
  paths: z.record(z.string(), z.record(z.string(), operation)),
  components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
});

type Html = ReturnType<typeof html>;
type Schemas = Readonly<Record<string, unknown>>;

const STYLE = `body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:14px/1.4 ui-monospace,monospace}
pre{background:#8881;padding:.7rem;overflow:auto}b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
:root{color-scheme:light dark}`;

/** The API's description as a page that needs no script and nothing from elsewhere. */
export function docsPage(document: object): Html {
  const { info, paths, components } = described.parse(document);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => ({ path, method: method.toUpperCase(), ...each })),
  );
  const tags = [...new Set(operations.map((each) => each.tags[0]))];
  return html`<!doctype html>
    <html lang="en">
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width" />
      <title>${info.title} API</title>
      <style>
        ${raw(STYLE)}
      </style>
      <h1>${info.title} API ${info.version}</h1>
      <p>${info.description} The same for programs: <a href="/openapi.json">/openapi.json</a></p>
      ${tags.map(
        (tag) =>
          html`<h2>${tag}</h2>
            ${operations.filter((each) => each.tags[0] === tag).map((each) => shown(each, components.schemas))}`,
      )}
    </html>`;
}

function shown(each: z.output<typeof operation> & { path: string; method: string }, schemas: Schemas): Html {
  const { path, method, summary, parameters, requestBody, responses } = each;
  return html`<details id="${method} ${path}">
    <summary><b>${method}</b><code>${path}</code> ${summary}</summary>
    <table>
      ${parameters.map(
        (one) =>
          html`<tr>
            <td><code>${one.name}</code></td>
            <td>${one.in}${one.required === true ? ", required" : ""}</td>
            <td>${one.schema.description ?? ""}</td>
          </tr>`,
      )}
    </table>
    ${
      requestBody === undefined
        ? ""
        : html`<h4>Request</h4>
            ${pretty(requestBody.content, schemas)}`
    }
    ${Object.entries(responses).map(
      ([status, answer]) =>
        html`<h4>${status === "default" ? "Failures" : status}: ${answer.description}</h4>
          ${answer.content === undefined ? "" : pretty(answer.content, schemas)}`,
    )}
  </details>`;
}

/** A schema, with the one that it refers to in its place. */
function pretty(body: z.output<typeof content>, schemas: Schemas): Html {
  const given = body["application/json"]?.schema;
  const name = given?.$ref?.split("/").at(-1);
  return html`<pre>${JSON.stringify(name === undefined ? given : schemas[name], undefined, 2)}</pre>`;
}
