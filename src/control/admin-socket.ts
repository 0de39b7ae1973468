import { sha256Hex } from "../core/hmac.ts";
import { UsageError } from "../core/usage-error.ts";

/** Linux takes 107 bytes, macOS 103; both keep one for the end of the text. */
const SOCKET_PATH_BYTES_MAX = 103;

/**
 * Where the admin socket of a data directory is: in it, or, when that path is too long for a Unix
 * socket, in the user's runtime directory under a name made from the data directory's path.
 */
export function adminSocketPath(
  dataDirectory: string,
  runtimeDirectory: string | undefined,
): string {
  const inside = `${dataDirectory}/admin.sock`;
  if (Buffer.byteLength(inside) <= SOCKET_PATH_BYTES_MAX) return inside;
  const outside = `${runtimeDirectory}/atoll-${sha256Hex(dataDirectory).slice(0, 16)}.sock`;
  if (runtimeDirectory?.startsWith("/") && Buffer.byteLength(outside) <= SOCKET_PATH_BYTES_MAX) {
    return outside;
  }
  throw new UsageError(
    `The path of the data directory ${dataDirectory} is too long for its admin socket.`,
    "Choose a shorter path with --data, or set XDG_RUNTIME_DIR to a short one.",
  );
}
