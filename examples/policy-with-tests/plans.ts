import { defineExtension, z } from "kiln/extension";

/** What a tenant has bought: what both sides agree on. */
export const plan = defineExtension("plan", z.enum(["free", "gold"]));
