import { pairs } from "./output.ts";

export type BannerFacts = {
  readonly version: string;
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  readonly secure: boolean;
  readonly region: string;
  readonly accessKey: string;
  /** Undefined when the operator's own settings gave it: they know it, and it is not shown. */
  readonly secretKey: string | undefined;
  /** Certificates (PEM) that clients must be told to trust; undefined where they know them. */
  readonly trustFile: string | undefined;
};

/** What `atoll serve` says on a terminal: where it is, the root key, and lines to paste. */
export function serveBanner(facts: BannerFacts): string {
  const endpoint = endpointOf(facts);
  const address = endpoint.replace(/^https?:\/\//, "");
  const secret =
    facts.secretKey === undefined ? '"$ATOLL_ROOT_SECRET_KEY"' : quote(facts.secretKey);
  const id = quote(facts.accessKey);
  const keys = `export AWS_ACCESS_KEY_ID=${id} AWS_SECRET_ACCESS_KEY=${secret}`;
  const trust = facts.trustFile === undefined ? undefined : quote(facts.trustFile);
  const bundle = trust === undefined ? [] : [`  export AWS_CA_BUNDLE=${trust}`];
  const trusted = trust === undefined ? "--ssl" : `--ssl --ca-certs=${trust}`;
  const secrecy = facts.secure ? trusted : "--no-ssl";
  return [
    `Atoll ${facts.version} serves ${facts.dataDirectory}`,
    "",
    pairs([
      ["endpoint", endpoint],
      ["region", facts.region],
      ["access key", facts.accessKey],
      ["secret key", facts.secretKey ?? "(yours, from the settings)"],
    ]).replace(/^/gm, "  "),
    "",
    "AWS CLI:",
    `  ${keys} AWS_DEFAULT_REGION=${facts.region}`,
    ...bundle,
    `  aws --endpoint-url ${endpoint} s3 mb s3://photos`,
    `  aws --endpoint-url ${endpoint} s3 ls`,
    "",
    "s3cmd:",
    `  s3cmd --access_key=${id} --secret_key=${secret} --host=${address} \\`,
    `    --host-bucket=${address} --region=${facts.region} ${secrecy} ls`,
    "",
    "Ctrl-C ends it.",
    "",
  ].join("\n");
}

/** The URL at which clients on this machine reach the service. */
export function endpointOf(facts: Pick<BannerFacts, "host" | "port" | "secure">): string {
  const everywhere = facts.host === "::" || facts.host === "0.0.0.0";
  const host = everywhere ? "localhost" : facts.host.includes(":") ? `[${facts.host}]` : facts.host;
  return `${facts.secure ? "https" : "http"}://${host}:${facts.port}`;
}

// Nothing to quote in what we generate; an operator's own key may hold anything printable.
function quote(text: string): string {
  return /^[A-Za-z0-9._/@:+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
