import { expect, test } from "vitest";
import type { Hlc } from "../../src/core/hlc.ts";
import { Seed } from "./seed.ts";
import { createInlineHash } from "./sim-hash.ts";
import { SimMachine } from "./sim-machine.ts";
import { bucketOf, keyOf } from "./store-journal.ts";

const BUCKET = bucketOf("alpha");
const DAY_MS = 86_400_000;
const ATTRIBUTES = { system: [], user: [], storageClass: undefined, tags: [] };

/**
 * The log is what keeps time monotone: a reading that was ever shown to anybody stands in it, and
 * is durable before it is shown. So nothing more has to be persisted ahead.
 */
test.each(["cutPower", "kill", "close"] as const)(
  "after %s and a clock set back by a day, readings go on where they were",
  async (end) => {
    const hash = await createInlineHash();
    const machine = new SimMachine(new Seed(`backward-clock ${end}`), {
      ...{ hash, directIo: "on", segmentBytes: 64 * 1024 },
    });
    let last: Hlc | undefined;
    for (let life = 0; life < 4; life++) {
      const { site } = await machine.open({ rebuildIndex: life === 3 });
      await site.store.createBucket({ name: BUCKET, owner: "owner", settings: new Map() });
      for (let count = 0; count < 10; count++) {
        const bytes = Buffer.from(`${life} ${count}`);
        const object = {
          ...{ size: bytes.length, etag: "0".repeat(32), attributes: ATTRIBUTES },
          ...{ checksums: [], parts: [], encryption: undefined },
        };
        const body = { kind: "inline", bytes } as const;
        const put = await site.store.putObject({ bucket: BUCKET, key: keyOf("key"), object, body });
        if (put.outcome !== "stored") throw new Error(put.outcome);
        expect(last === undefined || put.stored.hlc > last).toBe(true);
        last = put.stored.hlc;
        const shown = site.store.object(BUCKET, keyOf("key"));
        expect(shown?.hlc).toBe(last);
        machine.clock.jump(-1000);
      }
      if (end === "close") await site.close();
      else machine[end]();
      machine.clock.jump(-DAY_MS);
    }
  },
);
