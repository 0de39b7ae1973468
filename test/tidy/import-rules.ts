import { AREAS, PACKAGES } from "./import-table.ts";
import { isProduct, placeOf, type SourceFile } from "./source-file.ts";

/** The row of the import table that a file belongs to, by the longest match. */
function areaOf(path: string): string | undefined {
  return Object.keys(AREAS)
    .filter((area) => path === area || (area.endsWith("/") && path.startsWith(area)))
    .sort((left, right) => right.length - left.length)[0];
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? specifier);
}

/** Product files import only what the table gives their area. */
export function checkImportTable(files: readonly SourceFile[]): string[] {
  return files.filter((file) => isProduct(file.path)).flatMap(checkFile);
}

function checkFile(file: SourceFile): string[] {
  const area = areaOf(file.path);
  const row = area === undefined ? undefined : AREAS[area];
  if (area === undefined || row === undefined) {
    return [
      `${file.path} belongs to no area: move it into one, or give it a row in import-table.ts.`,
    ];
  }
  return file.imports.flatMap(({ specifier, target, start }) => {
    const place = placeOf(file, start);
    if (specifier === undefined) {
      return [`${place} imports a computed name: write the module's name as plain text.`];
    }
    if (target !== undefined) return checkTarget(place, target, { area, imports: row.imports });
    if (specifier.startsWith("node:")) {
      return row.node.includes(specifier.slice("node:".length))
        ? []
        : [`${place} imports ${specifier}: ${area} may not; go through a port.`];
    }
    return checkPackage(place, file.path, packageOf(specifier));
  });
}

function checkTarget(
  place: string,
  target: string,
  row: { readonly area: string; readonly imports: readonly string[] },
): string[] {
  if (target.endsWith(".test.ts") || !target.startsWith("src/")) {
    return [`${place} imports ${target}: the product may not lean on tests; move the code to src.`];
  }
  const allowed = [row.area, ...row.imports].some(
    (entry) => target === entry || (entry.endsWith("/") && target.startsWith(entry)),
  );
  if (allowed) return [];
  const may = row.imports.length === 0 ? "nothing of ours" : row.imports.join(", ");
  return [
    `${place} imports ${target}: ${row.area} may import ${may}; move the code down or pass it in.`,
  ];
}

function checkPackage(place: string, path: string, name: string): string[] {
  const places = PACKAGES[name];
  if (places === undefined) {
    return [`${place} imports ${name}, which no row of import-table.ts allows: do without it.`];
  }
  if (places.some((pattern) => pattern.test(path))) return [];
  const where = places.map((pattern) => pattern.source.replaceAll("\\", "")).join(" or ");
  return [`${place} imports ${name}: only ${where} may; use the interface that wraps it.`];
}

/** No file imports itself through others; imports of types count, for they couple as well. */
export function checkCycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const problems: string[] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (finished.has(path)) return;
    const at = trail.indexOf(path);
    if (at >= 0) {
      const cycle = [...trail.slice(at), path].join(" -> ");
      problems.push(`These files import each other: ${cycle}. Move what they share below both.`);
      return;
    }
    trail.push(path);
    for (const { target } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined && byPath.has(target)) visit(target);
    }
    trail.pop();
    finished.add(path);
  };
  for (const file of files) visit(file.path);
  return problems;
}

/** End-to-end and client tests see the program from outside only, whatever they import. */
export function checkBlackBox(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const problems: string[] = [];
  for (const file of files) {
    if (!/^test\/(e2e|clients)\//.test(file.path)) continue;
    const reached = new Set<string>();
    const waiting = [file.path];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (reached.has(path)) continue;
      reached.add(path);
      for (const { target } of byPath.get(path)?.imports ?? []) {
        if (target?.startsWith("src/")) {
          problems.push(
            `${file.path} reaches ${target} through ${path}: a black-box test imports nothing of src.`,
          );
        } else if (target !== undefined) waiting.push(target);
      }
    }
  }
  return problems;
}
