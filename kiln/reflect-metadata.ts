/**
 * @peculiar/x509 is built on tsyringe, which refuses to load without the reflect-metadata package and then asks
 * it only for parameter types that none of those classes has recorded. So "nothing recorded" is all it needs.
 */
const nothingRecorded = { getMetadata: () => undefined, getOwnMetadata: () => undefined };

if (!("getMetadata" in Reflect)) Object.assign(Reflect, nothingRecorded);
