/** The peer sent what the protocol does not allow; the session cannot go on. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}
