import { parseSiteId } from "../../src/core/names.ts";
import type { Network, NetworkRequest, NetworkResponse } from "../../src/ports/network.ts";
import { joinRoute } from "../../src/replication/join-server.ts";
import { Membership } from "../../src/replication/membership.ts";
import { createPeerClient, type PeerClient } from "../../src/replication/peer-client.ts";
import { type PeerRoute, PeerServer } from "../../src/replication/peer-server.ts";
import { Refusals } from "../../src/replication/refusals.ts";
import { RingShare } from "../../src/replication/ring-share.ts";
import { type Invitations, openInvitations } from "../../src/storage/invitations.ts";
import type { Site } from "../../src/storage/site.ts";
import { adoptCluster, retireOrigin } from "../../src/storage/site-identity.ts";
import { Seed } from "../sim/seed.ts";
import { createInlineHash } from "../sim/sim-hash.ts";
import { type Running, SIM_DIRECTORY, SimMachine } from "../sim/sim-machine.ts";
import { createSimRandom } from "../sim/sim-random.ts";
import { ask } from "./fake-exchange.ts";

/** Carries requests between sites of one process, by the address that each of them has. */
export class Wires {
  readonly #servers = new Map<string, () => PeerServer | undefined>();
  /** What is asked of any site passes here first. */
  readonly seen: string[] = [];
  broken = false;

  serve(address: string, server: () => PeerServer | undefined): void {
    this.#servers.set(address, server);
  }

  readonly network: Network = { request: (request) => this.#carry(request) };

  async #carry(request: NetworkRequest): Promise<NetworkResponse> {
    const { method, path, headers, body, target } = request;
    const server = target.kind === "url" ? this.#servers.get(target.origin)?.() : undefined;
    if (server === undefined || this.broken) throw new Error("ECONNREFUSED");
    this.seen.push(`${method} ${path}`);
    const bytes = body instanceof Uint8Array ? body : new Uint8Array(0);
    const message = { method, target: path, headers, body: bytes };
    const answer = await ask((exchange) => server.handle(exchange), message);
    return { ...answer, body: wholeOf(answer.body) };
  }
}

async function* wholeOf(body: Uint8Array): AsyncIterable<Uint8Array> {
  yield body;
}

/** A site on a simulated machine with all that makes it a member: tokens, keys, a door for peers. */
export class MemberTestSite {
  readonly machine: SimMachine;
  readonly address: string;
  readonly #wires: Wires;
  readonly #random;
  #running: Running | undefined;
  #server: PeerServer | undefined;
  #membership: Membership | undefined;
  #invitations: Invitations | undefined;
  #client: PeerClient | undefined;
  rings: RingShare | undefined;
  refusals: Refusals;

  constructor(name: string, wires: Wires, machine: SimMachine) {
    this.machine = machine;
    this.address = `http://${name}:9000`;
    this.#wires = wires;
    this.#random = createSimRandom(new Seed(`member ${name}`));
    this.refusals = new Refusals(machine.log);
    wires.serve(this.address, () => this.#server);
  }

  static async make(name: string, wires: Wires): Promise<MemberTestSite> {
    const hash = await createInlineHash();
    const settings = { hash, directIo: "on", segmentBytes: 64 * 1024 } as const;
    const site = new MemberTestSite(name, wires, new SimMachine(new Seed(name), settings));
    await site.start();
    return site;
  }

  get site(): Site {
    return must(this.#running).site;
  }

  get membership(): Membership {
    return must(this.#membership);
  }

  get invitations(): Invitations {
    return must(this.#invitations);
  }

  get client(): PeerClient {
    return must(this.#client);
  }

  async start(): Promise<void> {
    const { machine } = this;
    const { clock, log } = machine;
    const random = this.#random;
    const { network } = this.#wires;
    this.#running = await machine.open();
    const { store, identity, dataDir, guard } = this.#running.site;
    const { keyRing } = dataDir;
    const { disk } = machine;
    const invitations = await openInvitations({ disk, clock }, SIM_DIRECTORY);
    this.#invitations = invitations;
    this.refusals = new Refusals(log);
    const client = createPeerClient({
      ...{ network, clock, random, identity, keyPair: identity.keyPair },
    });
    this.#client = client;
    this.#membership = new Membership(
      {
        ...{ store, identity, keyRing, network, clock, random, invitations, guard },
        adoptCluster: (id) => adoptCluster(disk, SIM_DIRECTORY, identity, id),
        retireOrigin: () => retireOrigin(disk, SIM_DIRECTORY, identity),
        joined: async () => false,
      },
      { addresses: [], insecure: false, certificates: [] },
    );
    const peers = () => store.sites().filter(({ id }) => id !== identity.siteId);
    this.rings = new RingShare({ identity, keyRing, peers, client, clock, random, log });
    const probe: PeerRoute = {
      ...{ method: "POST", path: "/v1/repl/probe", bodyBytesMax: 10 },
      answer: () => ({ status: 200, body: Buffer.from("here") }),
    };
    const joinParts = { store, identity, invitations, keyRing, random, guard };
    this.#server = new PeerServer({
      ...{ identity, clock, random, log, refusals: this.refusals },
      site: (id) => store.site(id),
      isInvited: (publicKey) => invitations.find(publicKey) !== undefined,
      routes: [...this.rings.routes, probe],
      invitedRoutes: [joinRoute({ ...joinParts, isJoining: () => this.membership.isJoining })],
    });
    await this.membership.refresh();
  }

  /** The program ends as it should, and starts anew. */
  async restart(): Promise<void> {
    await this.site.close();
    await this.start();
  }

  /** The power goes, and comes back. */
  async recover(): Promise<void> {
    this.machine.cutPower();
    await this.start();
  }

  async invite(hours = 1): Promise<string> {
    const wish = { addresses: [this.address], insecure: true };
    const invited = await this.membership.invite(wish, hours * 3_600_000);
    if (invited.outcome === "refused") throw new Error(invited.message);
    return invited.token;
  }

  join(token: string) {
    return this.membership.join(token, { addresses: [this.address], insecure: true });
  }

  /** Whether another site takes this one's word. */
  async isHeardBy(other: MemberTestSite): Promise<boolean> {
    const id = must(parseSiteId(other.site.identity.siteId));
    const peer = this.site.store.site(id);
    if (peer === undefined) return false;
    const answer = await this.client
      .request(peer, {
        ...{ method: "POST", path: "/v1/repl/probe", body: Buffer.alloc(0) },
        ...{ bytesMax: 100, timeoutMs: 1000 },
      })
      .catch(() => undefined);
    return answer?.status === 200;
  }
}

function must<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the site does not run");
  return value;
}
