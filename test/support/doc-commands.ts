import { readFileSync } from "node:fs";

/** One command of a page, as it is typed. */
export type DocCommand = {
  /** The site at which it is typed. */
  readonly site: string;
  /** What the page says of that site beside its name: "on a new disk". */
  readonly remark: string | undefined;
  readonly words: readonly string[];
};

/**
 * The commands of a page, in order: every line of its `bash` blocks, each of which begins with a
 * comment that names a site.
 */
export function commandsOf(page: string): DocCommand[] {
  const blocks = readFileSync(page, "utf8").matchAll(/^```bash\n(.*?)^```$/gms);
  return [...blocks].flatMap(([, block = ""]) => {
    const [first = "", ...lines] = block.trimEnd().split("\n");
    const [, site, remark] = /^# at ([a-z]+)(?:, (.+))?$/.exec(first) ?? [];
    if (site === undefined) throw new Error(`${page}: say where, not ${first}`);
    return lines.map((line) => ({ site, remark, words: line.split(" ") }));
  });
}
