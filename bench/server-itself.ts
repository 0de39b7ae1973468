import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { addRow, type Bench, BUCKET, signed, smallPuts, wantsAny } from "./measuring.ts";
import { readEffort, readMemory } from "./process-facts.ts";
import { Signer, writeRequestFile } from "./requests.ts";
import { type Atoll, indexBytes, rebuildIndex, startAtoll } from "./server.ts";

const SAMPLE_MS = 100;
const CHUNK_BYTES = 1024 ** 2;
/** Housekeeping runs every ten seconds; what it has to do is done after this. */
const SETTLE_MS_MAX = 40_000;
/** Enough keys for the seconds before the kill. */
const KILL_KEYS = 100_000;
const KILL_AFTER_MS = 2000;
const KILL_LOAD_SECONDS = 60;

/** The memory that one upload adds to what the server held before. */
export async function measureUpload(bench: Bench, atoll: Atoll): Promise<void> {
  const { uploadBytes } = bench.options;
  const before = readMemory(atoll.pid).residentMb;
  let highest = before;
  const look = (): void => {
    highest = Math.max(highest, readMemory(atoll.pid).residentMb);
  };
  const timer = setInterval(look, SAMPLE_MS);
  try {
    await upload(atoll.port, uploadBytes);
    look();
  } finally {
    clearInterval(timer);
  }
  const notes = [`${(uploadBytes / 1e6).toFixed(0)} MB in one PUT`];
  addRow(bench, "upload-memory", [highest - before], { notes });
}

function upload(port: number, bytes: number): Promise<void> {
  const plan = { method: "PUT", path: `/${BUCKET}/upload`, unsignedBytes: bytes } as const;
  const lines = new Signer(port).sign(plan).toString("latin1").trim().split("\r\n").slice(1);
  const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)));
  return new Promise((resolve, reject) => {
    const { method, path } = plan;
    const sending = request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      answer.resume();
      if (answer.statusCode === 200) answer.on("end", resolve);
      else reject(new Error(`The upload was answered with ${answer.statusCode}.`));
    });
    sending.on("error", reject);
    const chunk = Buffer.alloc(CHUNK_BYTES, "atoll");
    let left = bytes;
    const send = (): void => {
      while (left > 0) {
        const part = chunk.subarray(0, Math.min(left, chunk.length));
        left -= part.length;
        if (!sending.write(part)) return;
      }
      sending.end();
    };
    sending.on("drain", send);
    send();
  });
}

/** Memory at the end, idling, starting after a kill, building the index: in this order. */
export async function measureAfterwards(bench: Bench, atoll: Atoll): Promise<Atoll> {
  if (bench.options.wants("memory-end")) {
    const { residentMb, ownMb } = readMemory(atoll.pid);
    const indexMb = indexBytes(bench.place) / 1e6;
    const own = `${ownMb.toFixed(0)} MB without pages of files`;
    const notes = [`${own}; the index, which is mapped, has ${indexMb.toFixed(0)} MB`];
    addRow(bench, "memory-end", [residentMb], { notes });
  }
  if (wantsAny(bench, ["idle-disk", "idle-cpu"])) await measureIdle(bench, atoll);
  const restarted = bench.options.wants("restart") ? await measureRestart(bench, atoll) : atoll;
  return bench.options.wants("rebuild") ? measureRebuild(bench, restarted) : restarted;
}

async function measureIdle(bench: Bench, atoll: Atoll): Promise<void> {
  const { idleSeconds } = bench.options;
  await sleep(Math.min(SETTLE_MS_MAX, idleSeconds * 1000));
  const before = readEffort(atoll.pid);
  const startedMs = performance.now();
  await sleep(idleSeconds * 1000);
  const seconds = (performance.now() - startedMs) / 1000;
  const after = readEffort(atoll.pid);
  const cpuPercent = ((after.cpuSeconds - before.cpuSeconds) / seconds) * 100;
  const diskKib = ((after.diskKib - before.diskKib) / seconds) * 60;
  if (bench.options.wants("idle-disk")) addRow(bench, "idle-disk", [diskKib]);
  if (bench.options.wants("idle-cpu")) addRow(bench, "idle-cpu", [cpuPercent]);
}

async function measureRestart(bench: Bench, first: Atoll): Promise<Atoll> {
  const file = join(bench.requestFolder, "requests");
  const seconds: number[] = [];
  let atoll = first;
  for (let run = 0; run < bench.options.runs; run++) {
    const { port } = atoll;
    const requests = smallPuts(BUCKET, `kill-${run}`, KILL_KEYS);
    writeRequestFile(file, signed(port, requests));
    const load = { port, file, clients: 64, seconds: KILL_LOAD_SECONDS };
    const loading = bench.loadgen.runUntilClosed(load);
    await sleep(KILL_AFTER_MS);
    await atoll.kill();
    await loading;
    const startedMs = performance.now();
    atoll = await startAtoll(bench.place);
    seconds.push((performance.now() - startedMs) / 1000);
  }
  addRow(bench, "restart", seconds, { notes: ["with the start of Node; page cache warm"] });
  return atoll;
}

async function measureRebuild(bench: Bench, atoll: Atoll): Promise<Atoll> {
  await atoll.stop();
  const rates: number[] = [];
  let notes: string[] = [];
  for (let run = 0; run < bench.options.runs; run++) {
    const startedMs = performance.now();
    const { operations, objects } = await rebuildIndex(bench.place);
    const seconds = (performance.now() - startedMs) / 1000;
    rates.push(operations / seconds);
    notes = [`${operations} logged operations, ${objects} objects left; whole command`];
  }
  addRow(bench, "rebuild", rates, { notes });
  return startAtoll(bench.place);
}
