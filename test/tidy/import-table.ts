/**
 * Who may import whom. A row names what an area may import besides itself: folders end in "/",
 * single files do not. `docs/ARCHITECTURE.md` shows the same table in words.
 */
export type AreaRow = {
  readonly imports: readonly string[];
  /** Modules of Node, without "node:". */
  readonly node: readonly string[];
};

const CORE = "src/core/";
const PORTS = "src/ports/";
const STORAGE = "src/storage/";
const EXCHANGE = "src/http/exchange.ts";

/** Keys are folders, or single files for the two above all areas (`src/wiring/` is the composition root's). The longest match counts. */
export const AREAS: Readonly<Record<string, AreaRow>> = {
  "src/core/": { imports: [], node: ["crypto", "buffer", "zlib"] },
  "src/ports/": {
    imports: [CORE],
    node: [
      ...["fs", "fs/promises", "http", "https", "net", "tls", "timers", "timers/promises"],
      ...["crypto", "worker_threads", "module", "os", "path", "perf_hooks", "url", "stream"],
      ...["v8", "vm"],
    ],
  },
  "src/storage/": { imports: [CORE, PORTS], node: [] },
  "src/http/": { imports: [CORE, PORTS], node: ["http", "https"] },
  "src/replication/": { imports: [CORE, PORTS, STORAGE, EXCHANGE], node: [] },
  "src/s3api/": { imports: [CORE, PORTS, STORAGE, EXCHANGE], node: [] },
  "src/control/": {
    imports: [CORE, PORTS, STORAGE, EXCHANGE, "src/replication/status.ts"],
    node: [],
  },
  "src/tools/": {
    imports: [CORE, PORTS, STORAGE, "src/replication/"],
    node: ["process", "tty"],
  },
  "src/config.ts": {
    imports: [CORE, PORTS, "src/config-schemas.ts"],
    node: ["process", "path", "os"],
  },
  "src/config-schemas.ts": { imports: [CORE], node: [] },
  "src/wiring/": { imports: ["src/"], node: [] },
  "src/main.ts": { imports: ["src/"], node: ["process", "path", "url", "module", "os", "tty"] },
};

/** Packages and the files that may know them. A package that is not here is not imported in src. */
export const PACKAGES: Readonly<Record<string, readonly RegExp[]>> = {
  lmdb: [/^src\/ports\/kv-lmdb\.ts$/],
  pino: [/^src\/ports\/[a-z]+-log\.ts$/],
  "@node-rs/crc32": [/^src\/ports\/[a-z-]*hash[a-z-]*\.ts$/],
  "@napi-rs/blake-hash": [/^src\/ports\/[a-z-]*hash[a-z-]*\.ts$/],
  "hash-wasm": [/^src\/ports\/[a-z-]*hash[a-z-]*\.ts$/],
  "bloom-filters": [/^src\/storage\/segment\/bloom[a-z-]*\.ts$/],
  "uWebSockets.js": [/^src\/http\/uws-(exchange|server)\.ts$/],
  "fast-xml-parser": [/^src\/s3api\/xml\//],
  zod: [/^src\/config(-schemas)?\.ts$/, /^src\/control\//, /^src\/replication\/wire[a-z-]*\.ts$/],
  "prom-client": [/^src\/control\//],
  commander: [/^src\/tools\/cli\.ts$/],
};
