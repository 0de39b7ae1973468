import { type Settings, setEnvironment } from "../config.ts";
import { StorageFault } from "../core/faults.ts";
import type { HttpHandler, HttpServer, TlsFiles } from "../http/exchange.ts";
import { type NodeServerDeps, startNodeServer } from "../http/node-server.ts";
import { startUwsServer } from "../http/uws-server.ts";
import { hasIpv6 } from "../ports/ip-versions.ts";
import { removeIfThere } from "../storage/json-file.ts";
import type { SitePorts } from "../storage/site-ports.ts";

/** Listens for clients, with the engine of the settings where that can be had. */
export async function startFront(
  settings: Settings,
  ports: SitePorts,
  tls: TlsFiles | undefined,
  handler: HttpHandler,
): Promise<HttpServer> {
  const { host, port } = settings.listen;
  const where = { host: hostToListen(host, hasIpv6), port, tls };
  if (settings.engine === "uws") {
    try {
      return await startUwsServer(handler, where, { clock: ports.clock, setEnvironment });
    } catch (failure) {
      const isMissing = failure instanceof StorageFault && failure.kind === "unsupported";
      if (!isMissing || tls !== undefined) throw failure;
      ports.log.warn({ reason: failure.message }, "serving with the node engine instead");
    }
  }
  return startNodeServer(handler, where, nodeDeps(ports));
}

/** `::` is every address, those of version 4 included; where there is no version 6, those alone. */
export function hostToListen(host: string, isThere: () => boolean): string {
  return host === "::" && !isThere() ? "0.0.0.0" : host;
}

function nodeDeps({ clock, disk }: SitePorts): NodeServerDeps {
  return { clock, readFile: (path) => disk.readNamed(path) };
}

/** The site is locked: a socket file that is still there belongs to nobody. */
export async function startAdminFront(
  handler: HttpHandler,
  socketPath: string,
  ports: SitePorts,
): Promise<HttpServer> {
  await removeIfThere(ports.disk, socketPath);
  return startNodeServer(handler, { socketPath }, nodeDeps(ports));
}
