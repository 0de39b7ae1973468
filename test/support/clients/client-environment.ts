import { REGION, ROOT_KEY } from "../server.ts";

/** The environment of a client that must know nothing but our key: no settings of this machine. */
export function clientEnvironment(home: string): Record<string, string> {
  return {
    HOME: home,
    XDG_CONFIG_HOME: home,
    XDG_CACHE_HOME: home,
    AWS_ACCESS_KEY_ID: ROOT_KEY.accessKey,
    AWS_SECRET_ACCESS_KEY: ROOT_KEY.secretKey,
    AWS_SESSION_TOKEN: "",
    AWS_DEFAULT_REGION: REGION,
    AWS_REGION: REGION,
    AWS_PROFILE: "",
    AWS_CONFIG_FILE: `${home}/no-config`,
    AWS_SHARED_CREDENTIALS_FILE: `${home}/no-credentials`,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_PAGER: "",
    NO_PROXY: "127.0.0.1",
    no_proxy: "127.0.0.1",
  };
}
