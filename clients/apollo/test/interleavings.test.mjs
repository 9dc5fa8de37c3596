// Random interleavings of what tabs, the network, the server and the clock do, with a model of the server in memory and a
// list of what must hold. RUNS says how many (10,000), SEED with which to begin: a failure names its own.
//
// What the server cannot bear is left out: a refresh request that is still under way after the client has given it up,
// and two refreshes in a row while another tab's request for the first has not arrived, or its answer with an older cookie;
// a login in one tab while another, with the same cookie, is logging out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSession, inMemory } from '@latchkey/apollo/core';

const RUNS = Number(process.env.RUNS ?? 10_000);
const SEED = Number(process.env.SEED ?? 1);
const SECOND = 1000;
const GRACE = 10 * SECOND;
const TTL = 600 * SECOND;

test(`${RUNS} random interleavings`, async (t) => {
	const { BroadcastChannel, AbortSignal } = globalThis;
	t.after(() => Object.assign(globalThis, { BroadcastChannel, AbortSignal }));
	globalThis.AbortSignal = { timeout: () => undefined }; // the world's clock gives up instead
	const seen = new Map();
	for (let seed = SEED; seed < SEED + RUNS; seed++) {
		const world = new World(seed);
		globalThis.BroadcastChannel = world.Channel;
		try {
			await world.run();
		} catch (error) {
			throw new Error(`SEED=${seed}, ${world.kind}: ${error.message}\n${world.log.join('\n')}`, { cause: error });
		}
		for (const what of world.seen) seen.set(what, (seen.get(what) ?? 0) + 1);
	}
	t.diagnostic(JSON.stringify(Object.fromEntries(seen)));
});

// A Server is what docs/tokens.md says of sessions.
class Server {
	sessions = new Map(); // by sid: { generation, used, rotatedAt, ended }
	reused = 0;
	healthy = true;
	now = 0;

	// answer returns a response; its cookie, if it has one, is what the browser keeps from now on.
	answer({ query, variables, authorization, cookie }) {
		if (!this.healthy) return refused('UNAVAILABLE');
		if (query.includes('login(')) return this.issue(`s${this.sessions.size}`, { generation: 0, used: -1, rotatedAt: 0, ended: null }, cookie);
		if (query.includes('refresh(')) return this.refresh(variables.input.refreshToken || cookie, cookie);
		const reason = authorization ? this.use(authorization.slice('Bearer '.length)) : 'MISSING';
		if (reason) return refused('UNAUTHENTICATED', reason);
		const [, , , sid] = authorization.split('.');
		this.sessions.get(sid).ended ??= 'REVOKED';
		return { data: { payload: { endedSessions: 1 } }, ...(cookie?.startsWith(`lr_${sid}.`) && { cookie: '' }) };
	}

	issue(sid, session, cookie) {
		this.sessions.set(sid, session);
		const claims = btoa(JSON.stringify({ sid, gen: session.generation, iat: this.now / SECOND, exp: (this.now + TTL) / SECOND }));
		const user = { id: `user of ${sid}`, username: 'u', name: null, roles: [], scopes: [] };
		const [accessToken, refreshToken] = [`h.${claims}.m.${sid}.${session.generation}`, `lr_${sid}.${session.generation}`];
		if (cookie === undefined) return { data: { payload: { accessToken, refreshToken, user } } };
		return { data: { payload: { accessToken, refreshToken: null, user } }, cookie: refreshToken };
	}

	refresh(token, cookie) {
		if (!token) return { ...refused('UNAUTHENTICATED', 'MISSING'), cookie: '' };
		const [sid, text] = token.slice(3).split('.');
		const [session, generation] = [this.sessions.get(sid), Number(text)];
		if (session.ended) return { ...refused('UNAUTHENTICATED', session.ended), cookie: '' };
		if (generation === session.generation) Object.assign(session, { generation: generation + 1, rotatedAt: this.now });
		const repeats = generation === session.generation - 1 && (this.now < session.rotatedAt + GRACE || session.used < session.generation);
		if (repeats) {
			if (this.now > session.rotatedAt + SECOND) session.rotatedAt = this.now;
			return this.issue(sid, session, cookie);
		}
		this.reused++;
		session.ended = 'REFRESH_REUSED';
		return { ...refused('UNAUTHENTICATED', session.ended), cookie: '' };
	}

	// use returns why the access token is refused, or null.
	use(token) {
		const [, claims, , sid, generation] = token.split('.');
		const session = this.sessions.get(sid);
		if (session.ended === 'USER_DISABLED' || session.ended === 'REVOKED') return session.ended;
		if (session.ended) return 'REVOKED';
		if (JSON.parse(atob(claims)).exp * SECOND < this.now) return 'EXPIRED';
		session.used = Math.max(session.used, Number(generation));
		return null;
	}
}

function refused(code, reason) {
	return { data: { payload: null }, errors: [{ message: code, path: ['payload'], extensions: { code, reason } }] };
}

// A World has one server and some tabs, and decides from its seed what happens next.
class World {
	log = [];
	seen = new Set();
	server = new Server();
	requests = []; // { tab, kind, request, answer, sentAt, resolve, reject }
	messages = []; // { to, data }
	channels = new Set();
	loggedOut = new Set(); // IDs of sessions in the storage
	offset = 0; // of the machine's clock
	refreshes = 0;
	actions = 0;

	constructor(seed) {
		let state = seed;
		this.random = () => { // mulberry32
			let t = (state += 0x6d2b79f5);
			t = Math.imul(t ^ (t >>> 15), t | 1);
			t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
			return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
		};
		this.kind = ['copies', 'one storage', 'one cookie'][this.below(3)]; // copies: of duplicated tabs
		this.copies = this.kind === 'copies';
		this.cookie = this.kind === 'one cookie' ? '' : undefined; // of the browser
		this.storage = { ...inMemory(), tabs: 'same', ...(this.cookie === '' && { tabs: 'copy', cookie: true }) };
		const world = this;
		this.Channel = class {
			constructor(name) {
				this.name = name;
				world.channels.add(this);
			}
			postMessage(data) {
				for (const to of world.channels) if (to !== this && to.name === this.name) world.messages.push({ to, data: structuredClone(data) });
			}
			close() {
				world.channels.delete(this);
			}
		};
	}

	below(n) {
		return Math.floor(this.random() * n);
	}

	pick(list) {
		return list[this.below(list.length)];
	}

	newTab(storage) {
		if (storage.cookie) this.actions++; // it refreshes once
		const tab = { storage };
		const clock = () => this.server.now + this.offset;
		tab.session = createSession({ url: '/graphql', storage, clock, fetch: (_, options) => this.send(tab, options) });
		return tab;
	}

	send(tab, { body, headers }) {
		const request = { ...JSON.parse(body), authorization: headers.authorization, cookie: this.cookie };
		assert.equal(headers['latchkey-session'], this.cookie === undefined ? undefined : 'cookie');
		const kind = /(login|refresh|logout)\(/.exec(request.query)[1];
		if (kind === 'refresh' && !this.loggedOut.has(this.heldBy(tab).id)) {
			this.refreshes++;
			const mine = this.requests.filter((other) => other.tab === tab && other.kind === kind && other.sid === sidOf(request));
			assert.ok(mine.length === 0 || this.loggingOut(tab), 'two refreshes of one tab at the same time');
		}
		return new Promise((resolve, reject) => this.requests.push({ tab, kind, request, sid: sidOf(request), answer: null, sentAt: this.server.now, resolve, reject }));
	}

	loggingOut(tab) {
		return this.requests.some((request) => request.tab === tab && request.kind === 'logout') || !this.heldBy(tab).viewer;
	}

	heldBy({ storage }) {
		return JSON.parse(storage.read()) ?? {};
	}

	async run() {
		const first = this.newTab(this.copies ? { ...inMemory(), tabs: 'copy' } : this.storage);
		this.tabs = [first];
		await this.finish(first.session.login('u', 'p'));
		for (let n = 1 + this.below(2); n > 0; n--) this.tabs.push(this.duplicate(first));
		for (let n = 0; n < 40; n++) {
			await this.step();
			this.check();
		}
		await this.settle();
	}

	duplicate({ storage }) {
		if (!this.copies) return this.newTab(storage);
		const copy = { ...inMemory(), tabs: 'copy' };
		copy.write(storage.read());
		return this.newTab(copy);
	}

	// finish lets everything arrive until the promise is settled.
	async finish(promise) {
		let done = false;
		const settled = promise.catch(() => {}).finally(() => (done = true));
		while (!done) {
			await this.flow();
			await turn();
		}
		await settled;
		await this.flow();
	}

	async flow() {
		while (this.requests.length || this.messages.length) {
			this.deliverMessage();
			const [request] = this.requests;
			if (request && !request.answer) this.arrive(request);
			if (request) this.deliver(request);
			await turn();
		}
	}

	note(what, tab) {
		this.seen.add(what);
		this.log.push(tab ? `${what} (tab ${this.tabs.indexOf(tab)})` : what);
	}

	// calm is when no refresh is on its way to the server, and no tab behind another.
	calm() {
		return !this.requests.some(({ kind, answer }) => kind === 'refresh' && !answer) && !(this.copies && this.messages.length);
	}

	// cookieBusy is when an answer to another tab, or to another login, may replace the cookie of a login.
	cookieBusy(tab) {
		return this.kind === 'one cookie' && this.requests.some((request) => request.tab !== tab || request.kind === 'login');
	}

	async step() {
		const tab = this.pick(this.tabs);
		const { session } = tab;
		const dice = this.below(100);
		if (dice < 22) this.act('accessToken', tab, async () => this.use(tab, await session.accessToken()));
		else if (dice < 26) this.calm() && this.act('refresh', tab, () => session.refresh());
		else if (dice < 28) this.logOut(tab);
		else if (dice < 31) session.state.viewer || this.cookieBusy(tab) || this.act('login', tab, () => session.login('u', 'p'));
		else if (dice < 35) this.reload(tab);
		else if (dice < 55) this.progress();
		else if (dice < 62) this.lose();
		else if (dice < 75) this.deliverMessage();
		else if (dice < 88) this.advance();
		else if (dice < 91) this.calm() && (this.note('the clock is set'), (this.offset = (this.below(5) - 2) * 1800 * SECOND));
		else if (dice < 95) this.note((this.server.healthy = !this.server.healthy) ? 'healthy' : 'unavailable');
		else if (dice < 97) this.endAtServer(this.pick(['REVOKED', 'USER_DISABLED', 'REFRESH_EXPIRED']));
		await turn();
	}

	act(what, tab, run) {
		this.note(what, tab);
		this.actions++;
		run().catch((error) => assert.ok(['NETWORK_ERROR', 'UNAVAILABLE', 'LOGGED_OUT'].includes(error.code), `${what}: ${error.stack}`));
	}

	// use is a query with the token, and its retry, as the links do it.
	async use(tab, token) {
		if (!token || !this.server.healthy) return;
		const reason = this.server.use(token);
		if (!reason || !this.calm()) return;
		this.note(`refused: ${reason}`, tab);
		const next = await tab.session.recover(token, reason);
		if (next && this.server.healthy) this.server.use(next);
	}

	logOut(tab) {
		const { id, viewer } = this.heldBy(tab);
		if (viewer) this.loggedOut.add(id);
		this.act('logout', tab, () => tab.session.logout());
	}

	reload(tab) {
		this.note('reload', tab);
		tab.session.dispose();
		this.requests = this.requests.filter((request) => {
			if (request.tab === tab && !request.answer) this.arrive(request); // sent, and nobody hears the answer
			return request.tab !== tab;
		});
		const open = new Set(this.channels);
		this.messages = this.messages.filter(({ to }) => open.has(to));
		this.tabs[this.tabs.indexOf(tab)] = this.newTab(tab.storage);
		if (this.copies) while (this.messages.length) this.deliverMessage(); // it asks the others
	}

	progress() {
		const request = this.pick(this.requests);
		if (!request) return;
		if (request.answer) this.deliver(request);
		else this.arrive(request);
	}

	arrive(request) {
		this.note(`${request.kind} arrives`, request.tab);
		request.answer = this.server.answer(request.request);
	}

	deliver(request) {
		if (this.kind === 'one cookie' && request.kind === 'refresh') this.deliverInOrder(request);
		this.note(`answer to ${request.kind}`, request.tab);
		this.requests.splice(this.requests.indexOf(request), 1);
		if (this.kind === 'one cookie') this.cookie = request.answer.cookie ?? this.cookie;
		request.resolve({ json: async () => request.answer });
	}

	// deliverInOrder has refreshes arrive before the answer to one of them changes the cookie, and their answers in the order
	// in which they were sent.
	deliverInOrder(last) {
		const refreshes = this.requests.filter(({ kind }) => kind === 'refresh');
		for (const request of refreshes) if (!request.answer) this.arrive(request);
		for (const request of refreshes.slice(0, refreshes.indexOf(last))) if (this.requests.includes(request)) this.deliver(request);
	}

	lose(request = this.pick(this.requests)) {
		if (!request) return;
		this.note(request.answer ? 'an answer is lost' : 'a request is lost', request.tab);
		this.requests.splice(this.requests.indexOf(request), 1);
		request.reject(new TypeError('fetch failed'));
	}

	deliverMessage() {
		const message = this.messages.shift();
		if (message && this.channels.has(message.to)) message.to.onmessage({ data: message.data });
	}

	advance() {
		const by = this.pick([1, 1, 1, 5, 5, 60, 650, 3000]) * SECOND;
		for (const request of [...this.requests]) if (this.server.now + by - request.sentAt > 8 * SECOND) this.lose(request);
		if (this.copies) while (this.messages.length) this.deliverMessage();
		this.note(`${by / SECOND} s pass`);
		this.server.now += by;
	}

	endAtServer(reason) {
		const session = this.server.sessions.get(this.pick([...this.server.sessions.keys()]));
		this.note(`the server ends a session: ${reason}`);
		session.ended ??= reason;
	}

	// check holds at each moment.
	check() {
		assert.equal(this.server.reused, 0, 'a refresh token was reused');
		assert.ok(this.refreshes <= 2 * this.actions, 'a loop of refreshes');
		for (const tab of this.tabs) {
			const { id, viewer, endedBy } = this.heldBy(tab);
			assert.ok(!(viewer && this.loggedOut.has(id) && !this.copies), 'a session that was logged out is back');
			if (endedBy === 'LOGGED_OUT') assert.ok(this.loggedOut.has(id), 'a tab was logged out by nobody');
			else if (endedBy) assert.ok([...this.server.sessions.values()].some(({ ended }) => ended === endedBy), `the server did not say ${endedBy}`);
		}
	}

	// settle lets the world come to rest, and then looks at what each tab has.
	async settle() {
		this.note('rest');
		this.server.healthy = true;
		await this.flow();
		this.server.now += 2 * SECOND; // after a failure nothing is asked for that long
		for (const tab of this.tabs) {
			const before = this.heldBy(tab);
			const alive = before.viewer && !this.server.sessions.get(before.viewer.id.slice('user of '.length)).ended;
			let token;
			await this.finish((async () => (token = await tab.session.accessToken()))());
			if (token && this.server.use(token)) {
				await this.finish((async () => (token = await tab.session.recover(token, this.server.use(token))))());
			}
			this.check();
			assert.equal(!!token, !!alive, 'a live session was lost, or a dead one kept');
			assert.equal(token && this.server.use(token), token && null, 'the token is refused');
			assert.equal(!!tab.session.state.viewer, !!alive, 'the state is not that of the session');
		}
		const states = new Set(this.tabs.map(({ session }) => JSON.stringify(session.state)));
		if (!this.copies) assert.equal(states.size, 1, `the tabs differ: ${[...states]}`);
		for (const tab of this.tabs) assert.ok(!(this.loggedOut.has(this.heldBy(tab).id) && tab.session.state.viewer), 'a session that was logged out is back');
		for (const { session } of this.tabs) session.dispose();
	}
}

function sidOf({ variables, cookie }) {
	return (variables.input.refreshToken || cookie)?.split('.')[0];
}

function turn() {
	return new Promise(setImmediate);
}
