/**
 * A peer said what cannot be true: bytes that are not what their hash says, a chain that does not
 * hold, a head nobody signed. Nothing of it is taken, and the peer is left alone for a while.
 */
export class PeerLie extends Error {
  override readonly name = "PeerLie";
}
