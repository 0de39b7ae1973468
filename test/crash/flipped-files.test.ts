import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Seed } from "../sim/seed.ts";
import { mustRun } from "../support/run-program.ts";
import { MAIN, mustStart, readRootKey, start } from "./crash-server.ts";
import { report } from "./report.ts";
import { type Client, createClient, NoAnswer } from "./s3-client.ts";
import { makeScratchDirectory } from "./shim.ts";
import { md5, pathOf } from "./world.ts";

/** Another seed: CRASH_SEED=2. */
const SEED = new Seed(`flipped files/${process.env["CRASH_SEED"] ?? "1"}`);
const SEGMENT_FLIPS = 24;
const INDEX_FLIPS = 12;
const BUCKET = "flipped";
/** Small ones share a batch, larger ones have chunks. */
const SIZES = [0, 100, 4096, 60_000, 131_072, 131_073, 700_000];
const KEYS = 21;
/** A start, a client that asks for everything, an end: some may be slow on a busy machine. */
const GUARD_MS = 900_000;

/** What every object has to be: the digest of its bytes, by key. */
const stored = new Map<string, string>();
let pristine = "";

beforeAll(async () => {
  pristine = makeScratchDirectory("pristine");
  const server = await mustStart({ dataDirectory: pristine, mode: "buffered" });
  const client = createClient(server, readRootKey(pristine));
  await client.send({ method: "PUT", path: pathOf(BUCKET) });
  for (let number = 0; number < KEYS; number++) {
    const body = SEED.derive(number).bytes(SIZES[number % SIZES.length] ?? 0);
    const answer = await client.send({ method: "PUT", path: pathOf(BUCKET, `${number}`), body });
    expect(answer.status).toBe(200);
    stored.set(`${number}`, md5(body));
  }
  expect(await server.signal("SIGTERM")).toMatchObject({ status: 0 });
}, GUARD_MS);

afterAll(() => rmSync(pristine, { recursive: true, force: true }));

type Seen = { right: number; refused: number; missing: number };

/** Asks for everything: right bytes, an error or a cut connection, and never other bytes. */
async function ask(client: Client): Promise<Seen> {
  const seen = { right: 0, refused: 0, missing: 0 };
  for (const [key, digest] of stored) {
    try {
      const answer = await client.send({ method: "GET", path: pathOf(BUCKET, key) });
      if (answer.status === 200) {
        expect(md5(answer.body), `the bytes of ${key}`).toBe(digest);
        seen.right += 1;
      } else if (answer.status === 404) seen.missing += 1;
      else seen.refused += 1;
    } catch (failure) {
      if (!(failure instanceof NoAnswer)) throw failure;
      seen.refused += 1;
    }
  }
  return seen;
}

function flip(path: string, seed: Seed): void {
  const bytes = readFileSync(path);
  const at = seed.int(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << seed.int(8));
  writeFileSync(path, bytes);
}

/** A copy of the stopped store with one bit flipped in a file of a folder. */
function damagedCopy(folder: string, seed: Seed): string {
  const dataDirectory = makeScratchDirectory("flipped");
  cpSync(pristine, dataDirectory, { recursive: true });
  const directory = join(dataDirectory, folder);
  const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile() && !path.endsWith("lock.mdb"))
    .sort();
  // By size, so that every bit of the folder is as likely as any other.
  let at = seed.int(files.reduce((sum, path) => sum + statSync(path).size, 0));
  const hit = files.find((path) => {
    at -= statSync(path).size;
    return at < 0;
  });
  flip(hit ?? "", seed);
  return dataDirectory;
}

/** Starts on a damaged copy and asks for everything; undefined when it names the damage instead. */
async function look(dataDirectory: string): Promise<Seen | undefined> {
  const started = await start({ dataDirectory, mode: "buffered" });
  if (started.outcome === "ended") {
    expect(started.end.status, started.log).not.toBe(0);
    return undefined;
  }
  const { server } = started;
  const seen = await ask(createClient(server, readRootKey(dataDirectory)));
  await server.signal("SIGKILL");
  return seen;
}

test(
  `a bit flipped in a segment file is never served, and hides nothing (${SEGMENT_FLIPS} flips)`,
  async () => {
    const figures = { flips: SEGMENT_FLIPS, right: 0, refused: 0, refusedToStart: 0 };
    for (let number = 0; number < SEGMENT_FLIPS; number++) {
      const dataDirectory = damagedCopy("segments", SEED.derive(`segment ${number}`));
      const seen = await look(dataDirectory);
      if (seen === undefined) figures.refusedToStart += 1;
      else {
        // The index knows every object: what is damaged is an error, not an object that is not.
        expect(seen.missing, `flip ${number}`).toBe(0);
        expect(seen.refused, `one bit hits one object (flip ${number})`).toBeLessThanOrEqual(1);
        figures.right += seen.right;
        figures.refused += seen.refused;
      }
      rmSync(dataDirectory, { recursive: true });
    }
    expect(figures.right).toBeGreaterThan(0);
    expect(figures.refused + figures.refusedToStart).toBeGreaterThan(0);
    report("flipped segments", figures);
  },
  GUARD_MS,
);

test(
  `a bit flipped in the index is never served, and a rebuild brings all back (${INDEX_FLIPS} flips)`,
  async () => {
    const figures = { flips: INDEX_FLIPS, right: 0, refused: 0, refusedToStart: 0 };
    for (let number = 0; number < INDEX_FLIPS; number++) {
      const dataDirectory = damagedCopy("index", SEED.derive(`index ${number}`));
      const seen = await look(dataDirectory);
      if (seen === undefined) figures.refusedToStart += 1;
      else {
        figures.right += seen.right;
        figures.refused += seen.refused + seen.missing;
      }
      await mustRun(process.execPath, [MAIN, "rebuild-index", "--data", dataDirectory]);
      const server = await mustStart({ dataDirectory, mode: "buffered" });
      const after = await ask(createClient(server, readRootKey(dataDirectory)));
      await server.signal("SIGKILL");
      expect(after, `after flip ${number} and a rebuild`).toEqual({
        right: stored.size,
        refused: 0,
        missing: 0,
      });
      rmSync(dataDirectory, { recursive: true });
    }
    expect(figures.right).toBeGreaterThan(0);
    report("flipped index", figures);
  },
  GUARD_MS,
);
