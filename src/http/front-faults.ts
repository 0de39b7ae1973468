import { StorageFault } from "../core/faults.ts";
import type { TlsFiles } from "./exchange.ts";

const PRIVILEGED_PORTS_END = 1024;

/** That nobody can be heard at an address, for the operator: the uWS engine does not say why. */
export function cannotListen(
  { host, port }: { readonly host: string; readonly port: number },
  cause?: unknown,
): StorageFault {
  const place = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const reasons = "Another program may hold the port, or the address is not one of this machine.";
  const isPrivileged = port > 0 && port < PRIVILEGED_PORTS_END;
  const right = isPrivileged ? " Ports below 1024 take root or CAP_NET_BIND_SERVICE." : "";
  const hint = `${reasons}${right}`;
  return new StorageFault("unreachable", `cannot listen on ${place}`, { hint, cause });
}

/** That files cannot be served with. Both engines are asked the same of them. */
export function unusableTls({ certificatePath, keyPath }: TlsFiles, cause: unknown): StorageFault {
  return new StorageFault("unsupported", "the TLS certificate or its key cannot be used", {
    hint: `Check ${certificatePath} and ${keyPath}: both must be PEM files, of one key.`,
    cause,
  });
}
