import {
  ACCESS_KEY_RANDOM_BYTES,
  type AccessKeyPair,
  makeAccessKeyPair,
} from "../core/access-key.ts";
import { parseAccessKeyId } from "../core/names.ts";
import type { Disk } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { asFields, readJsonFile, refuseNewerFormat, writeJsonFile } from "./json-file.ts";
import { Line } from "./line.ts";

const FORMAT = 1;
const FILE_NAME = "root-key.json";

type RootKeyDeps = { readonly disk: Disk; readonly random: Random };

/** Path of the root key's file, for messages that must not hold the key itself. */
export function rootKeyPath(directory: string): string {
  return `${directory}/${FILE_NAME}`;
}

/** The key that may do everything at this site; undefined before the first start. */
export async function readRootKey(
  disk: Disk,
  directory: string,
): Promise<AccessKeyPair | undefined> {
  const path = rootKeyPath(directory);
  return readJsonFile(disk, path, (value) => parseRootKey(path, value));
}

/** The root key of this data directory, made at the first start. */
export async function openRootKey(deps: RootKeyDeps, directory: string): Promise<AccessKeyPair> {
  return (await readRootKey(deps.disk, directory)) ?? rotateRootKey(deps, directory);
}

/** Replaces the root key; the old one is not kept, not even as a backup. */
export async function rotateRootKey(deps: RootKeyDeps, directory: string): Promise<AccessKeyPair> {
  const pair = makeAccessKeyPair(deps.random.bytes(ACCESS_KEY_RANDOM_BYTES));
  const value = { format: FORMAT, accessKey: pair.id, secretKey: pair.secret };
  // Twice, so that the file's backup does not bring a rotated key back to life.
  await writeJsonFile(deps.disk, rootKeyPath(directory), value);
  await writeJsonFile(deps.disk, rootKeyPath(directory), value);
  return pair;
}

/** The root key in force. */
export interface RootKey {
  /** "settings": the operator's own, which overrides the file and is theirs to change. */
  readonly source: "file" | "settings";
  current(): AccessKeyPair;
  /** Replaces the key of the file; it is in force when this resolves. */
  rotate(): Promise<AccessKeyPair>;
}

/** The operator's own root key if there is one, else the one of the data directory. */
export async function chooseRootKey(
  deps: RootKeyDeps,
  directory: string,
  own: AccessKeyPair | undefined,
): Promise<RootKey> {
  let pair = own ?? (await openRootKey(deps, directory));
  const rotations = new Line();
  const rotate = async (): Promise<AccessKeyPair> => {
    if (own === undefined) pair = await rotateRootKey(deps, directory);
    return pair;
  };
  return {
    source: own === undefined ? "file" : "settings",
    current: () => pair,
    rotate: () => rotations.run(rotate),
  };
}

function parseRootKey(path: string, value: unknown): AccessKeyPair | undefined {
  const fields = asFields(value);
  if (fields === undefined) return undefined;
  refuseNewerFormat(path, fields["format"], FORMAT);
  const id = parseAccessKeyId(String(fields["accessKey"]));
  const secret = fields["secretKey"];
  if (fields["format"] !== FORMAT || id === undefined || typeof secret !== "string") {
    return undefined;
  }
  return { id, secret };
}
