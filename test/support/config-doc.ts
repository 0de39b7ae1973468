import { flagOf, hasFlag, SETTINGS, variableOf } from "../../src/config.ts";

const HEAD = `# Settings

Generated from the table in \`src/config.ts\` by \`WRITE_DOCS=1 npx vitest run test/docs-config.test.ts\`;
do not edit by hand.

A setting is taken from the flags of the command line, else from the environment, else from the
settings file, else it has its default. The settings file is the one that \`--config FILE\` (or
\`ATOLL_CONFIG\`) names, else \`atoll.json\` in the data directory if it is there: a JSON object with
the names of the first column. Unknown names are errors everywhere. \`atoll config show\` prints what
a server would have that were started with the same flags in the same environment, and where each
value came from; what a service manager gives to its own it does not see. Secrets are never shown
and have no flags (a process list would show them). Sizes are numbers of bytes or have a
unit: \`KiB\`, \`MiB\`, \`GiB\`, \`TiB\`. Times have one always: \`ms\`, \`s\`, \`m\` (minutes), \`h\`,
\`d\` (days).

| setting | flag | variable | default | meaning |
| --- | --- | --- | --- | --- |
`;

type Row = {
  fallback: string | undefined;
  placeholder: string | undefined;
  description: string;
  secret?: true;
};

/** docs/CONFIG.md as it should be. */
export function renderConfigDoc(): string {
  const rows = Object.entries<Row>(SETTINGS).map(([key, row]) => {
    const name = key as keyof typeof SETTINGS;
    const fallback = row.fallback ? `\`${row.fallback}\`` : "none";
    const meaning = row.description + (row.secret ? " Secret." : "");
    const placeholder = row.placeholder === undefined ? "" : ` ${row.placeholder}`;
    const flag = hasFlag(name) ? `\`--${flagOf(name)}${placeholder}\`` : "none";
    return `| \`${name}\` | ${flag} | \`${variableOf(name)}\` | ${fallback} | ${meaning} |\n`;
  });
  return HEAD + rows.join("");
}
