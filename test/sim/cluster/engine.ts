import type { MemberSite, SiteRecord } from "../../../src/core/site-record.ts";
import type { Hash } from "../../../src/ports/hash.ts";
import type { Log } from "../../../src/ports/log.ts";
import type { Network } from "../../../src/ports/network.ts";
import type { Random } from "../../../src/ports/random.ts";
import { createPeerClient } from "../../../src/replication/peer-client.ts";
import { PeerServer } from "../../../src/replication/peer-server.ts";
import { PeerWatch } from "../../../src/replication/peer-watch.ts";
import { Quarantine } from "../../../src/replication/quarantine.ts";
import { Refusals } from "../../../src/replication/refusals.ts";
import { Replication } from "../../../src/replication/replication.ts";
import type { Site } from "../../../src/storage/site.ts";
import type { SimNetwork } from "../sim-network.ts";
import type { Running } from "./cluster-machine.ts";
import { answerWith } from "./sim-exchange.ts";

const DRIFT_MS_MAX = 5000;

export type EngineDeps = {
  readonly running: Running;
  readonly network: SimNetwork;
  readonly hash: Hash;
  readonly random: Random;
  readonly log: Log;
};

/** Where a site of the simulated world is reached. */
function addressOf(name: string): string {
  return `http://${name}:9000`;
}

/** What a site says of itself to the others. */
export function siteRecordOf({ identity }: Site): SiteRecord {
  return {
    ...{ id: identity.siteId, name: identity.name, publicKey: identity.keyPair.publicKey },
    ...{ addresses: [addressOf(identity.name)], certificates: [], origins: [identity.origin] },
    ...{ state: "active", featureLevel: 1, insecure: true },
  };
}

/** All of replication of one program, as the server wires it; gives a function that ends it. */
export function startEngine({ running, network, hash, random, log }: EngineDeps): () => void {
  const { site, clock, replica } = running;
  const { identity, store } = site;
  const refusals = new Refusals(log);
  const client = createPeerClient({
    ...{ clock, random, identity, keyPair: identity.keyPair },
    network: whileAlive(running, network.connect(identity.name)),
  });
  const replication = new Replication(
    {
      ...{ replica, sites: () => store.sites(), owner: identity },
      ask: (peer, request) => client.request(peer, request),
      ...{ clock, random, hash, log },
      watch: new PeerWatch({ clock, log }),
      quarantine: new Quarantine({ clock, log, driftMsMax: DRIFT_MS_MAX }),
      belowFloor: () => undefined,
    },
    { bytesPerSecond: undefined },
  );
  const server = new PeerServer({
    ...{ identity, clock, random, log, refusals, invitedRoutes: [], isInvited: () => false },
    site: (id): MemberSite | undefined => store.site(id),
    routes: replication.routes,
  });
  const { name } = identity;
  const end = network.serve(
    addressOf(name),
    name,
    answerWith((exchange) => server.handle(exchange)),
  );
  replication.start();
  return end;
}

/** A program that has died says nothing more, and hears nothing. */
function whileAlive(running: Running, network: Network): Network {
  const silence = new Promise<never>(() => undefined);
  return {
    request: (request) => {
      if (!running.clock.alive) return silence;
      return network.request(request).then(
        (answer) => (running.clock.alive ? answer : silence),
        (failure: unknown) => {
          if (!running.clock.alive) return silence;
          throw failure;
        },
      );
    },
  };
}
