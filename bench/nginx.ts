import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianProgram } from "../test/support/clients/debian-clients.ts";
import { startChild } from "./children.ts";
import { freePort, untilAnswers } from "./server.ts";

export type Nginx = {
  readonly port: number;
  /** Removes everything that was put, so that its write-back disturbs nothing later. */
  stop(): Promise<void>;
};

/** One process, as ours is one; no log, no sync, no signatures: the least a server does. */
function configuration(folder: string, port: number): string {
  return `daemon off;
master_process off;
pid ${folder}/pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  open_file_cache max=10000 inactive=600s;
  open_file_cache_valid 600s;
  client_max_body_size 0;
  client_body_buffer_size 16k;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    root ${folder}/root;
    dav_methods PUT DELETE;
    create_full_put_path on;
  }
}
`;
}

/** Starts nginx with static files and DAV in a folder on the disk that is measured. */
export async function startNginx(folder: string): Promise<Nginx> {
  const program = await debianProgram("nginx");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, "root"), { recursive: true });
  writeFileSync(join(folder, "root", "ready"), "ready");
  const port = await freePort();
  const config = join(folder, "nginx.conf");
  writeFileSync(config, configuration(folder, port));
  const log = openSync(join(folder, "error.log"), "a");
  const args = ["-p", folder, "-c", config, "-e", join(folder, "error.log")];
  const child = startChild(program, args, { stdio: ["ignore", log, log] });
  closeSync(log);
  const ready = Buffer.from("GET /ready HTTP/1.1\r\nhost: nginx\r\n\r\n");
  await untilAnswers(child, port, () => ready, join(folder, "error.log"));
  return {
    port,
    stop: async () => {
      child.kill("SIGTERM");
      await child.ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
