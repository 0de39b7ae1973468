import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Finished, runProgram } from "../run-program.ts";
import { provideOnce } from "./provide-once.ts";

type Pin = { readonly version: string; readonly sha256: Readonly<Record<string, string>> };

/**
 * Versions of Debian 12 and their SHA-256 by Node's name of the architecture; the first that the
 * archive still has is taken. To renew: `apt-cache show NAME`, on each architecture.
 */
const PINS = {
  rclone: {
    program: "usr/bin/rclone",
    pins: [
      {
        version: "1.60.1+dfsg-2+b5",
        sha256: {
          x64: "703722dcab0c487322690fe68c7f8d6787e54e1ecd1297800d1382687ddbd81a",
          arm64: "5c25aa0f6c9a9344534bbadd99d421b1342ea6ca3729f340240d0e8e6ede855e",
        },
      },
    ],
  },
  restic: {
    program: "usr/bin/restic",
    pins: [
      {
        version: "0.14.0-1+b5",
        sha256: {
          x64: "9d7e8c210736f3f15ed7cf425ab56aa5259b07d8422b958494bfd4359b5024d1",
          arm64: "d0fb9c3b51aef8e58fbb185f2455d038424ba9e301c219d00e46f2a6a1effcfd",
        },
      },
    ],
  },
  nginx: {
    program: "usr/sbin/nginx",
    pins: [
      {
        version: "1.22.1-9+deb12u10",
        sha256: {
          x64: "cc7ae36d024f602861eeefe64656d14481b3bd224d81f8d69f789de49f16375a",
          arm64: "482916490b3dfa7e23b0efdbe5eb0b4871220bbe6ea1f54d1cf1010de8d01fbb",
        },
      },
      {
        version: "1.22.1-9+deb12u9",
        sha256: {
          x64: "4e7b52f8b31f26d77ffb5c427c41e36223e81b047242ecfa8dc1d7f939734885",
          arm64: "c50ba73501e353702a748a57aab4817bfe7d1e8d6cc7a2e24c97248bd91462de",
        },
      },
    ],
  },
} as const satisfies Record<string, { program: string; pins: readonly Pin[] }>;

type DebianProgram = keyof typeof PINS;

/** Options that keep apt's hands off the system: its own lists, its own cache, no root needed. */
function privateState(folder: string): string[] {
  const state = join(folder, "state");
  const cache = join(folder, "cache");
  mkdirSync(join(state, "lists", "partial"), { recursive: true });
  mkdirSync(join(cache, "archives", "partial"), { recursive: true });
  return [
    `Dir::State=${state}`,
    "Dir::State::status=/var/lib/dpkg/status",
    `Dir::Cache=${cache}`,
    "APT::Sandbox::User=",
    "Acquire::Languages=none",
    "Acquire::Retries=3",
  ].flatMap((option) => ["-o", option]);
}

async function run(
  need: string,
  command: readonly [string, ...string[]],
  cwd: string,
): Promise<Finished> {
  const [program, ...args] = command;
  return runProgram(program, args, { cwd }).catch((failure: unknown) => {
    throw new Error(`Install ${program}: the tests fetch ${need} with it (${String(failure)}).`);
  });
}

/** The newest pinned package the archive still has, as the path of its file. */
async function download(name: DebianProgram, folder: string): Promise<string> {
  const options = privateState(join(folder, "apt"));
  const updated = await run(name, ["apt-get", "--quiet", ...options, "update"], folder);
  if (updated.status !== 0) {
    throw new Error(`Give apt a working archive to fetch ${name} from: ${updated.stderr.trim()}`);
  }
  const complaints: string[] = [];
  for (const pin of PINS[name].pins) {
    const wanted = `${name}=${pin.version}`;
    const fetched = await run(name, ["apt-get", "-q", ...options, "download", wanted], folder);
    const file = readdirSync(folder).find((entry) => entry.endsWith(".deb"));
    if (fetched.status !== 0 || file === undefined) complaints.push(fetched.stderr.trim());
    else return verified(join(folder, file), wanted, pin);
  }
  const versions = PINS[name].pins.map((pin) => pin.version).join(" or ");
  throw new Error(
    `Pin a version of ${name} that the archive has in test/support/clients/debian-clients.ts, ` +
      `for it no longer has ${versions}: ${complaints.join("; ")}`,
  );
}

function verified(path: string, wanted: string, pin: Pin): string {
  const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
  if (sha256 === pin.sha256[process.arch]) return path;
  rmSync(path);
  throw new Error(
    `Do not use this archive, or pin its checksum: ${wanted} for ${process.arch} has ${sha256}.`,
  );
}

/** The path of a program out of its Debian package, unpacked in the cache and nowhere else. */
export async function debianProgram(name: DebianProgram): Promise<string> {
  const { program, pins } = PINS[name];
  const folder = await provideOnce(`${name}-${pins[0].version}`, async (empty) => {
    const archive = await download(name, empty);
    const unpacked = await run(name, ["dpkg-deb", "-x", archive, empty], empty);
    if (unpacked.status !== 0) throw new Error(`dpkg-deb failed: ${unpacked.stderr.trim()}`);
    rmSync(archive);
    rmSync(join(empty, "apt"), { recursive: true });
  });
  const path = join(folder, program);
  if (!existsSync(path)) throw new Error(`Delete ${folder} and try again: ${program} is missing.`);
  return path;
}
