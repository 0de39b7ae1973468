import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isRowName, ROW_NAMES, type RowName } from "./targets.ts";

export type Options = {
  /** Folder with httpload.c. */
  readonly loadgen: string;
  /** Folder of our own on the disk that is measured; emptied before and after. */
  readonly data: string;
  readonly runs: number;
  readonly seconds: number;
  /** Objects in the index where the workload says "a million". */
  readonly objects: number;
  readonly idleSeconds: number;
  /** Bytes of the upload whose memory is measured; 0 leaves it out. */
  readonly uploadBytes: number;
  readonly wants: (name: RowName) => boolean;
  /** Writes bench/RESULTS.md too. */
  readonly write: boolean;
};

export const USAGE = `npm run bench -- --loadgen DIR [options]
  --loadgen DIR    folder with httpload.c
  --quick          one run of 3 s and 50,000 objects: to try the bench, not to judge by it
  --only NAME      only this workload (repeatable): ${ROW_NAMES.join(" ")}
  --runs N         runs of each workload, of which the median counts (3)
  --seconds N      length of a run (20)
  --objects N      objects in the index of the large store (1000000)
  --idle-seconds N how long an idle server is watched (60)
  --upload BYTES   also measure the memory of one upload of that size (5368709120 is 5 GiB)
  --data DIR       below which to measure, on a real disk (.cache)
  --write          write bench/RESULTS.md`;

/** Of a folder that is named, only this one below it is emptied. */
const OWN = "bench-data";

const FLAGS = {
  loadgen: { type: "string" },
  quick: { type: "boolean", default: false },
  only: { type: "string", multiple: true },
  runs: { type: "string" },
  seconds: { type: "string" },
  objects: { type: "string" },
  "idle-seconds": { type: "string" },
  upload: { type: "string" },
  data: { type: "string" },
  write: { type: "boolean", default: false },
} as const;

/** @throws Error with a sentence for the person at the keyboard. */
export function parseOptions(typed: readonly string[], root: string): Options {
  const { values } = parseArgs({ args: [...typed], options: FLAGS });
  const loadgen = resolve(values.loadgen ?? ".");
  if (values.loadgen === undefined || !existsSync(join(loadgen, "httpload.c"))) {
    throw new Error(`Name the folder that holds httpload.c with --loadgen.\n${USAGE}`);
  }
  const only = values.only?.map((name) => {
    if (isRowName(name)) return name;
    throw new Error(`There is no workload ${name}; there are ${ROW_NAMES.join(", ")}.`);
  });
  const { quick } = values;
  const uploadBytes = number(values.upload, 0);
  return {
    loadgen,
    data: values.data === undefined ? join(root, ".cache", OWN) : join(resolve(values.data), OWN),
    runs: number(values.runs, quick ? 1 : 3),
    seconds: number(values.seconds, quick ? 3 : 20),
    objects: number(values.objects, quick ? 50_000 : 1_000_000),
    idleSeconds: number(values["idle-seconds"], quick ? 3 : 60),
    uploadBytes,
    wants: (name) =>
      only === undefined ? name !== "upload-memory" || uploadBytes > 0 : only.includes(name),
    write: values.write,
  };
}

function number(text: string | undefined, fallback: number): number {
  const parsed = text === undefined ? fallback : Number(text);
  if (Number.isFinite(parsed) && parsed >= 0) return parsed;
  throw new Error(`${text} is not a number.\n${USAGE}`);
}
