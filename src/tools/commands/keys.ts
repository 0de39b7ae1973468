import { UsageError } from "../../core/usage-error.ts";
import { isRecord } from "../admin-client.ts";
import { administer, type Answer as Body, keyPath } from "../administer.ts";
import { type Command, flagValue } from "../command.ts";
import { pairs, table } from "../output.ts";
import { readPolicyFile } from "../policy-file.ts";

const GRANT_NAMES = ["read", "write", "read-write", "own", "admin:stats", "admin"];
const GRANTS = `${GRANT_NAMES.slice(0, -1).join(", ")} or ${GRANT_NAMES.at(-1)}`;

const create: Command = {
  name: "keys create",
  summary: "Create an access key; its secret is shown this once",
  flags: [
    {
      flag: "grant",
      placeholder: "GRANT",
      description: `What the key may do: ${GRANTS}`,
      repeatable: true,
    },
    {
      flag: "bucket",
      placeholder: "NAME",
      description: "Bind the grants to this bucket",
      repeatable: true,
    },
    { flag: "policy", placeholder: "FILE", description: "A policy of AWS's kind, as JSON" },
    { flag: "name", placeholder: "TEXT", description: "A name for people and policies" },
    { flag: "access-key", placeholder: "ID", description: "Bring an access key along" },
    { flag: "secret-key", placeholder: "SECRET", description: "The secret of that key" },
  ],
  settings: "place",
  json: true,
  examples: [
    "atoll keys create --grant read-write",
    "atoll keys create --name backup --grant read-write --bucket backups --bucket archive",
    "atoll keys create --grant own --name team-a",
    "atoll keys create --policy policy.json --name uploader",
    "atoll keys create --grant admin:stats --name prometheus",
  ],
  async run(input) {
    const grants = input.values.get("grant") ?? [];
    const path = flagValue(input, "policy");
    if (grants.length === 0 && path === undefined) {
      throw new UsageError(`A key needs at least one --grant: ${GRANTS}; or a --policy.`);
    }
    const unknown = grants.find((grant) => !GRANT_NAMES.includes(grant));
    if (unknown !== undefined) {
      throw new UsageError(
        `"${unknown}" is no grant. There are ${GRANTS.replace(" or ", " and ")}.`,
      );
    }
    const body = dropUndefined({
      grants,
      buckets: input.values.get("bucket") ?? [],
      name: flagValue(input, "name"),
      policy: path === undefined ? undefined : await readPolicyFile(input.program, path),
      access_key: flagValue(input, "access-key"),
      secret_key: flagValue(input, "secret-key"),
    });
    return administer(input, "POST", "keys", { body, show: showCreated });
  },
};

const list: Command = {
  name: "keys list",
  summary: "List the access keys",
  settings: "place",
  json: true,
  examples: ["atoll keys list"],
  run: (input) => administer(input, "GET", "keys", { show: showList }),
};

const show: Command = {
  name: "keys show",
  summary: "Show an access key and its policies, never its secret",
  operands: ["access-key"],
  settings: "place",
  json: true,
  examples: ["atoll keys show ATOLEXAMPLE"],
  run: (input) => administer(input, "GET", keyPath(input), { show: showKey }),
};

const disable: Command = {
  name: "keys disable",
  summary: "Refuse an access key until it is enabled again",
  operands: ["access-key"],
  settings: "place",
  json: true,
  examples: ["atoll keys disable ATOLEXAMPLE"],
  run: (input) => administer(input, "POST", `${keyPath(input)}/disable`, { show: showState }),
};

const enable: Command = {
  name: "keys enable",
  summary: "Accept a disabled access key again",
  operands: ["access-key"],
  settings: "place",
  json: true,
  examples: ["atoll keys enable ATOLEXAMPLE"],
  run: (input) => administer(input, "POST", `${keyPath(input)}/enable`, { show: showState }),
};

const remove: Command = {
  name: "keys delete",
  summary: "Delete an access key for good",
  operands: ["access-key"],
  settings: "place",
  json: true,
  examples: ["atoll keys delete ATOLEXAMPLE"],
  run: (input) => administer(input, "DELETE", keyPath(input), { show: showState }),
};

const root: Command = {
  name: "keys root",
  summary: "Show or replace the root key of this site",
  flags: [
    { flag: "show", placeholder: undefined, description: "Print the root key" },
    { flag: "rotate", placeholder: undefined, description: "Replace it and print the new one" },
  ],
  settings: "place",
  json: true,
  examples: ["atoll keys root --show", "atoll keys root --rotate"],
  run(input) {
    const rotate = input.values.has("rotate");
    if (rotate === input.values.has("show")) {
      throw new UsageError("Say what to do with the root key: --show or --rotate.");
    }
    return rotate
      ? administer(input, "POST", "root-key/rotate", { show: showSecretPair })
      : administer(input, "GET", "root-key", { show: showSecretPair });
  },
};

export const KEY_COMMANDS: readonly Command[] = [create, list, show, disable, enable, remove, root];

function showList(answer: Body): string {
  const keys = Array.isArray(answer["keys"]) ? answer["keys"].filter(isRecord) : [];
  if (keys.length === 0) return "There are no access keys yet but the root key.";
  return table(
    ["ACCESS KEY", "STATE", "GRANTS", "CREATED", "NAME"],
    keys.map((key) => [
      text(key["access_key"]),
      text(key["state"]),
      grantsOf(key),
      text(key["created"]),
      text(key["name"]),
    ]),
  );
}

function showKey(key: Body): string {
  const facts = pairs([
    ["access key", text(key["access_key"])],
    ["name", text(key["name"])],
    ["state", text(key["state"])],
    ["grants", grantsOf(key)],
    ["created", text(key["created"])],
  ]);
  return `${facts}\n\n${JSON.stringify(key["policies"], undefined, 2)}`;
}

function showCreated(key: Body): string {
  return `${showSecretPair(key)}\n\nThe secret key is not shown again.`;
}

function showSecretPair(key: Body): string {
  return pairs([
    ["access key", text(key["access_key"])],
    ["secret key", text(key["secret_key"])],
  ]);
}

function showState(key: Body): string {
  const state = key["state"] === "revoked" ? "deleted" : text(key["state"]);
  return `${text(key["access_key"])} is ${state}.`;
}

function grantsOf(key: Body): string {
  return Array.isArray(key["grants"]) ? key["grants"].map(text).join("; ") : "";
}

function text(value: unknown): string {
  return value === undefined ? "" : String(value);
}

function dropUndefined(fields: Readonly<Record<string, unknown>>): Body {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
