import { parseSeq } from "../core/names.ts";
import type { LocalRecord } from "../core/records.ts";
import type { SealingDeps } from "./sealing.ts";
import { FOOTER_TRAILER_BYTES } from "./segment/footer-layout.ts";
import { decodeFooter, decodeFooterTrailer } from "./segment/footer-reader.ts";
import type { SegmentFacts } from "./segment/segments.ts";

export type TrimPoint = Extract<LocalRecord, { kind: "segments-dropped" }>["trimPoints"][number];

/** Where a log begins once a sealed segment is gone; undefined when it holds no operation. */
export function readTrimPoint(
  { segments, hash }: SealingDeps,
  facts: SegmentFacts,
): Promise<TrimPoint | undefined> {
  return segments.use(facts.id, async (file) => {
    const last = Buffer.alloc(FOOTER_TRAILER_BYTES);
    await file.read(last, facts.sizeBytes - FOOTER_TRAILER_BYTES);
    const expected = { segmentId: facts.id, fileBytes: facts.sizeBytes };
    const found = decodeFooterTrailer(last, expected, hash.crc32);
    if (found.outcome !== "trailer") return undefined;
    const { trailer } = found;
    const bytes = Buffer.alloc(trailer.footerBytes);
    await file.read(bytes, trailer.footerOffset);
    const footer = decodeFooter(bytes, trailer, hash.crc32);
    if (footer.outcome !== "footer") return undefined;
    const { origin, lastSeq, chain } = footer.footer;
    const seq = parseSeq(lastSeq);
    return seq === undefined || seq === 0 ? undefined : { origin, seq, chain: Buffer.from(chain) };
  });
}
