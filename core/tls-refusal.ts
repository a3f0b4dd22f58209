/** The code of our own check: the certificate carries another name than the one that was dialled. */
export const WRONG_NAME = "KILN_WRONG_NAME";

/** Why a peer's certificate was refused, as log lines say it: one phrase each, to search for. */
const REFUSALS: Readonly<Record<string, string>> = {
  [WRONG_NAME]: "its certificate carries another name",
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: "it showed no certificate",
  UNABLE_TO_GET_ISSUER_CERT: "it showed no certificate",
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet",
  INVALID_PURPOSE: "its certificate is not for this end of a connection",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is of an unknown authority",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is of an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is of an unknown authority",
  // What Deno says of every fault.
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate cannot be verified, most likely it is of an unknown authority",
  CERT_SIGNATURE_FAILURE: "its certificate is of an unknown authority",
};

/** The phrase for a failure, or for what caused it; undefined where no certificate was refused. */
export function refusalPhrase(failure: unknown): string | undefined {
  for (let error = failure; error instanceof Error; error = error.cause) {
    const { code } = error as NodeJS.ErrnoException;
    const phrase = code === undefined ? undefined : REFUSALS[code];
    if (phrase !== undefined) return phrase;
  }
  return undefined;
}
