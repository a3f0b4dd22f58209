import { z } from "zod";

import { NEXT_RUN } from "../functions/computed-annotations.ts";
import { errorSchema, pageQuery } from "./common-schemas.ts";
import type { ResourceSchemas } from "./resource.ts";

type JsonSchema = Readonly<Record<string, unknown>>;
interface Parts {
  readonly paths: Record<string, Record<string, object>>;
  readonly schemas: Record<string, JsonSchema>;
}

/** The API as it describes itself, in OpenAPI 3.1, whose schemas are JSON Schema: zod writes it from its own. */
export function describeApi(resources: readonly ResourceSchemas[], version: string): object {
  const parts: Parts = { paths: {}, schemas: { Error: jsonSchema(errorSchema) } };
  for (const resource of resources) describeResource(resource, parts);
  return {
    openapi: "3.1.0",
    info: { title: "Kiln", version, description: "Apps, functions and triggers, as Fn's clients know them." },
    security: [{}, { token: [] }],
    paths: parts.paths,
    components: { schemas: parts.schemas, securitySchemes: { token: { type: "http", scheme: "bearer" } } },
  };
}

function describeResource({ noun, path, idName, schemas }: ResourceSchemas, parts: Parts): void {
  const name = noun[0]?.toUpperCase() + noun.slice(1);
  const entity = component(parts, name, schemas.entity);
  const page = {
    type: "object",
    properties: { items: { type: "array", items: entity }, next_cursor: { type: "string" } },
    required: ["items"],
  };
  const created = body(component(parts, `${name}Create`, schemas.create));
  const changed = body(component(parts, `${name}Change`, schemas.update));
  const idParameter = { name: idName, in: "path", required: true, schema: { type: "string" } };
  const ifMatch = {
    name: "If-Match",
    in: "header",
    schema: { type: "string", description: "ETag of the version that is meant" },
  };
  const ifNoneMatch = {
    name: "If-None-Match",
    in: "header",
    schema: { type: "string", enum: ["*"], description: `Create one of this id instead, from a body as for POST` },
  };
  const failure = { default: { description: "Any failure", content: json({ $ref: "#/components/schemas/Error" }) } };
  const one = {
    200: {
      description: `The ${noun}; ETag names this version, by what is set and not by what is worked out, such as ${NEXT_RUN}`,
      content: json(entity),
    },
    ...failure,
  };
  const tags = [`${noun}s`];

  parts.paths[path] = {
    get: {
      tags,
      summary: `List ${noun}s by name`,
      parameters: queryParameters(schemas.query.extend(pageQuery)),
      responses: { 200: { description: "A page", content: json(page) }, ...failure },
    },
    post: { tags, summary: "Create one", requestBody: created, responses: one },
  };
  parts.paths[`${path}/{${idName}}`] = {
    get: { tags, summary: "Read one", parameters: [idParameter], responses: one },
    put: {
      tags,
      summary: "Change one: what is given is set, maps are merged",
      parameters: [idParameter, ifMatch, ifNoneMatch],
      requestBody: changed,
      responses: one,
    },
    patch: {
      tags,
      summary: "The same; null sets a default, and what cannot be changed is refused",
      parameters: [idParameter, ifMatch],
      requestBody: changed,
      responses: one,
    },
    delete: {
      tags,
      summary: "Delete one, and all that is in it",
      parameters: [idParameter, ifMatch],
      responses: { 204: { description: "Gone" }, ...failure },
    },
  };
}

function component({ schemas }: Parts, name: string, schema: z.ZodType): JsonSchema {
  schemas[name] = jsonSchema(schema);
  return { $ref: `#/components/schemas/${name}` };
}

function queryParameters(query: z.ZodObject): object[] {
  return Object.entries<z.core.$ZodType>(query.shape).map(([name, schema]) => ({
    name,
    in: "query",
    required: !z.safeParse(schema, undefined).success,
    schema: jsonSchema(schema),
  }));
}

function body(schema: JsonSchema): object {
  return { required: true, content: json(schema) };
}

function json(schema: JsonSchema): object {
  return { "application/json": { schema } };
}

/** As it is written in JSON: before a schema makes milliseconds of seconds. */
function jsonSchema(schema: z.core.$ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest;
}
