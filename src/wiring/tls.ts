import type { Settings } from "../config.ts";
import { StorageFault } from "../core/faults.ts";
import type { HttpServer, TlsFiles } from "../http/exchange.ts";
import type { Cancel } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import { certificateEndMs, hostsNotNamed, makeSelfSigned } from "../ports/self-signed.ts";
import { ensureDirectory } from "../storage/data-dir.ts";
import { createSynced, readText, removeIfThere } from "../storage/json-file.ts";
import type { SitePorts } from "../storage/site-ports.ts";

const SELF_SIGNED_DAYS = 825;
/** One that ends sooner is made anew. */
const LEFT_MS_MIN = 30 * 24 * 3600 * 1000;
const LOOK_MS = 60_000;

/**
 * The files the service is encrypted with; undefined when it speaks plain HTTP.
 *
 * @throws StorageFault as `toldCertificates` does, before anything else is begun.
 */
export async function openTls(settings: Settings, ports: SitePorts): Promise<TlsFiles | undefined> {
  const { tlsCert: certificatePath, tlsKey: keyPath } = settings;
  if (settings.tlsAuthority !== undefined) await toldCertificates(settings, ports);
  if (certificatePath !== undefined && keyPath !== undefined) return { certificatePath, keyPath };
  return settings.tlsSelfSigned ? openSelfSigned(settings, ports) : undefined;
}

/** Where the certificate is that the site made itself. */
function selfSignedPath(settings: Settings): string {
  return `${settings.data}/tls/self-signed.pem`;
}

/** What clients must be told to trust; undefined for plain HTTP, and where systems know it. */
export function trustFile(settings: Settings): string | undefined {
  return settings.tlsSelfSigned ? selfSignedPath(settings) : settings.tlsAuthority;
}

/** As much as records of sites and tokens hold of certificates. */
const TOLD_MAX = 4;
const TOLD_CHARS_MAX = 16_384;

/**
 * What other sites are told to trust when they reach this one: its own certificate where it
 * vouches for itself, else the authority that it names, so that a renewed certificate is known at
 * once; none where the authority is one that every system knows.
 *
 * @throws StorageFault "unsupported" for a file that holds no certificates, or too many.
 */
export async function toldCertificates(
  settings: Settings,
  { disk }: Pick<SitePorts, "disk">,
): Promise<readonly string[]> {
  const { tlsAuthority: path, tlsSelfSigned } = settings;
  if (tlsSelfSigned) {
    const own = await readText(disk, selfSignedPath(settings));
    return own === undefined ? [] : [own];
  }
  if (path === undefined) return [];
  const text = await readNamedText(disk, path);
  const found = text?.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
  const isFit = found.every(
    (one) => one.length <= TOLD_CHARS_MAX && certificateEndMs(one) !== undefined,
  );
  if (isFit && found.length > 0 && found.length <= TOLD_MAX) return found;
  throw new StorageFault("unsupported", `${path} holds no certificates that peers can be told of`, {
    hint: `tlsAuthority names a file with 1 to ${TOLD_MAX} certificates (PEM) of the authority.`,
  });
}

/** The site's own certificate in DATA/tls, made when there is none that lasts. */
async function openSelfSigned(settings: Settings, ports: SitePorts): Promise<TlsFiles> {
  const { disk, clock } = ports;
  const directory = `${settings.data}/tls`;
  const certificatePath = selfSignedPath(settings);
  const keyPath = `${directory}/self-signed-key.pem`;
  await ensureDirectory(disk, directory);
  const certificate = await readText(disk, certificatePath);
  const endMs = certificate === undefined ? undefined : certificateEndMs(certificate);
  const hosts = hostsOf(settings);
  const lasts = endMs !== undefined && endMs - clock.nowMs() > LEFT_MS_MIN;
  if (!lasts || (await readText(disk, keyPath)) === undefined) {
    const made = makeSelfSigned(hosts, clock.nowMs(), SELF_SIGNED_DAYS);
    await removeIfThere(disk, certificatePath);
    await removeIfThere(disk, keyPath);
    await createSynced(disk, keyPath, made.key);
    await createSynced(disk, certificatePath, made.certificate);
    ports.log.info({ certificatePath }, "made a certificate that vouches for itself");
  } else tellNotNamed(certificate ?? "", hosts, ports);
  return { certificatePath, keyPath };
}

/** Peers trust the certificate that they were told of: a new one is for the operator to wish. */
function tellNotNamed(certificate: string, hosts: readonly string[], { log }: SitePorts): void {
  const missing = hostsNotNamed(certificate, hosts);
  if (missing.length === 0) return;
  const hint = "Remove DATA/tls and start anew; clients and peers must be told of the new one.";
  log.warn({ missing, hint }, "the site's own certificate was made before it had these names");
}

function hostsOf({ listen, domains, siteName }: Settings): string[] {
  const hosts = ["localhost", "127.0.0.1", "::1"];
  const anyAddress = listen.host === "0.0.0.0" || listen.host === "::";
  if (!anyAddress) hosts.push(listen.host);
  for (const domain of domains) hosts.push(domain, `*.${domain}`);
  if (siteName !== undefined) hosts.push(siteName);
  return [...new Set(hosts)];
}

/**
 * Has the server read its certificate again whenever one of the files has changed. Files that do
 * not fit together (half of them replaced) leave the old certificate in force until they do.
 */
export function watchTls(
  files: TlsFiles,
  server: Pick<HttpServer, "reloadTls">,
  ports: SitePorts,
): { end: Cancel } {
  const { clock, log } = ports;
  let seen: string | undefined;
  let ended = false;
  let cancel: Cancel = () => undefined;
  const look = async (): Promise<void> => {
    try {
      const now = await versionOf(files, ports);
      if (seen !== undefined && now !== seen) await reloadTls(files, server, ports);
      seen = now;
    } catch (failure) {
      log.warn({ err: failure }, "the changed certificate is not in force yet");
    }
    if (!ended) cancel = clock.after(LOOK_MS, () => void look());
  };
  void look();
  return {
    end: () => {
      ended = true;
      cancel();
    },
  };
}

/** @throws StorageFault "unsupported" when the files cannot be used; the old ones stay in force. */
export async function reloadTls(
  { certificatePath }: TlsFiles,
  server: Pick<HttpServer, "reloadTls">,
  { log }: SitePorts,
): Promise<void> {
  await server.reloadTls();
  log.info({ certificatePath }, "new connections use the certificate as it is now");
}

/** What there is to say to a wish for a new certificate where there is none. */
export async function tellNothingToReload({ log }: Pick<SitePorts, "log">): Promise<void> {
  const hint = "Changed settings are taken by a restart.";
  log.info({ hint }, "there is nothing to take anew: without TLS no file is read again");
}

async function versionOf(
  { certificatePath, keyPath }: TlsFiles,
  { disk, hash }: SitePorts,
): Promise<string> {
  const texts = [await readNamedText(disk, certificatePath), await readNamedText(disk, keyPath)];
  return hash.digest("SHA256", Buffer.from(texts.join("\0"))).toString("hex");
}

function readNamedText(disk: Disk, path: string): Promise<string | undefined> {
  return readText({ readFile: (named) => disk.readNamed(named) }, path);
}
