import type { Command } from "../command.ts";

export const serveCommand: Command = {
  name: "serve",
  summary: "Serve the data directory over S3, until SIGTERM or SIGINT",
  settings: "all",
  json: false,
  examples: [
    "atoll serve",
    "atoll serve --data /srv/atoll --listen :9000",
    "ATOLL_ROOT_ACCESS_KEY=admin ATOLL_ROOT_SECRET_KEY=change-me-now atoll serve",
  ],
  run: (input) => input.program.serve(input),
};
