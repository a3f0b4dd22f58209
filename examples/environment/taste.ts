import { defineExtension, z } from "kiln/extension";

export const cheese = defineExtension("FN_CHEESE", z.string());
export const wine = defineExtension("FN_WINE", z.string());
