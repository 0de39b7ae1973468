import { REGION, ROOT_KEY } from "../server.ts";

/** The environment of a client that must know nothing but our key: no settings of this machine. */
export function clientEnvironment(home: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_CACHE_HOME: home,
    AWS_ACCESS_KEY_ID: ROOT_KEY.accessKey,
    AWS_SECRET_ACCESS_KEY: ROOT_KEY.secretKey,
    AWS_DEFAULT_REGION: REGION,
    AWS_REGION: REGION,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
  };
}
