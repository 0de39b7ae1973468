import { AREAS, PACKAGES } from "./import-table.ts";

const code = (names: readonly string[]): string =>
  names.map((name) => `\`${name}\``).join(", ") || "none";

function packagesOf(area: string): string[] {
  return Object.entries(PACKAGES)
    .filter(([, places]) => places.some((place) => place.source.startsWith(sourceOf(area))))
    .map(([name]) => name);
}

/** An area as it stands at the start of the patterns of PACKAGES. */
function sourceOf(area: string): string {
  return `^${area.replaceAll("/", "\\/").replaceAll(".", "\\.")}`;
}

/** The rows of the import table as docs/ARCHITECTURE.md shows them. */
export function renderImportTable(): string {
  return Object.entries(AREAS)
    .map(([area, row]) => {
      const imports = row.imports.length === 0 ? "nothing" : code(row.imports);
      return `| \`${area}\` | ${imports} | ${code(packagesOf(area))} | ${code(row.node)} |\n`;
    })
    .join("");
}
