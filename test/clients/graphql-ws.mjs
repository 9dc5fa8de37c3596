// graphql-ws, the reference client of the protocol graphql-transport-ws.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { SUBSCRIPTION, until } from './server.mjs';

export async function run(server, ok) {
	await hearAndReconnect(server, ok);
	await stayAwayWithoutToken(server, ok);
	await stayOpenWithRefreshedTokens(server, ok);
	await reconnectAfterAnotherServersToken(server, ok);
	await queryBySocket(server, ok);
	await logOutBySocket(server, ok);
	await subscribeAgainAtOnce(server, ok);
	await tellTheOldSubprotocol(server, ok);
}

// A connection is a client with what happened to it.
class Connection {
	constructor(server, params, options = {}) {
		Object.assign(this, { asked: 0, received: [], closed: [], pongs: [], fatal: null, socket: null, failed: null });
		this.client = createClient({
			url: server.socket,
			webSocketImpl: WebSocket,
			lazy: false,
			connectionParams: async () => (this.asked++, params()),
			retryWait: () => sleep(50),
			onNonLazyError: (event) => (this.fatal = event),
			on: {
				connected: (socket) => (this.socket = socket),
				closed: (event) => this.closed.push(event),
				pong: (received, payload) => received && this.pongs.push(payload),
			},
			...options,
		});
	}

	subscribe() {
		this.client.subscribe(
			{ query: SUBSCRIPTION },
			{
				next: ({ data, errors }) => (data ? this.received.push(data.securityEvents) : (this.failed = errors)),
				error: (error) => (this.failed = error),
				complete: () => (this.failed = 'complete'),
			},
		);
		return this;
	}

	// hand gives the open socket another token, by a ping.
	hand(token) {
		this.socket.send(JSON.stringify({ type: 'ping', payload: { authorization: `Bearer ${token}` } }));
	}
}

async function hearAndReconnect(server, ok) {
	let tokens = await server.logIn();
	const c = new Connection(server, () => ({ Authorization: `Bearer ${tokens.accessToken}` })).subscribe();
	await server.hear(tokens.accessToken, c.received);
	assert.deepEqual([c.asked, c.failed], [1, null]);
	ok('a subscription hears of an API token made over HTTP');

	const ended = tokens.accessToken;
	tokens = await server.logIn();
	await server.logOut(ended);
	await until('the closing', () => c.closed.length > 0);
	assert.deepEqual([c.closed[0].code, c.closed[0].reason], [4403, 'REVOKED']);
	await until('the next connection', () => c.asked === 2);
	await server.hear(tokens.accessToken, c.received);
	assert.deepEqual([c.closed.length, c.asked, c.fatal, c.failed], [1, 2, null, null]);
	ok('logging out closes with 4403; the client asks for parameters again, connects, and goes on subscribing');
	await c.client.dispose();
	await server.logOut(tokens.accessToken);
}

async function stayAwayWithoutToken(server, ok) {
	const c = new Connection(server, () => ({})).subscribe();
	await until('the fatal closing', () => c.fatal && c.failed);
	await sleep(200);
	assert.deepEqual([c.fatal.code, c.fatal.reason, c.failed.code, c.asked], [4401, 'MISSING', 4401, 1]);
	ok('a socket without a token is fatal: 4401, and no second try');
}

async function stayOpenWithRefreshedTokens(server, ok) {
	let tokens = await server.logIn();
	const expiry = Date.parse(tokens.expiresAt);
	const c = new Connection(server, () => ({ Authorization: `Bearer ${tokens.accessToken}` })).subscribe();
	await server.hear(tokens.accessToken, c.received);
	const brief = expiry - Date.now() < 70_000; // `latchkey serve --access-ttl 1m`
	if (brief) await sleep(10_000); // so that the next token lives longer by that
	tokens = await server.refresh(tokens);
	c.hand(tokens.accessToken);
	await until('the pong', () => c.pongs.length > 0);
	assert.deepEqual(c.pongs, [{ authorization: 'accepted' }]);
	await server.hear(tokens.accessToken, c.received);
	ok('an open socket takes a refreshed token by a ping, says so in its pong, and goes on');

	if (brief) {
		await sleep(Math.max(0, expiry - Date.now()) + 1_500);
		await server.hear(tokens.accessToken, c.received);
		ok('the socket outlives the token that opened it');
	}
	assert.deepEqual([c.closed, c.asked, c.failed], [[], 1, null]);
	await c.client.dispose();
	await server.logOut(tokens.accessToken);
}

async function reconnectAfterAnotherServersToken(server, ok) {
	const [tokens, other] = [await server.logIn(), await server.logIn()];
	const c = new Connection(server, () => ({ Authorization: `Bearer ${tokens.accessToken}` })).subscribe();
	await server.hear(tokens.accessToken, c.received);
	c.hand(other.accessToken);
	await until('the closing', () => c.closed.length > 0);
	assert.equal(c.closed[0].code, 4403);
	await until('the next connection', () => c.asked === 2);
	await server.hear(tokens.accessToken, c.received);
	ok("another session's token is refused with 4403, and the client connects anew");
	await c.client.dispose();
	for (const { accessToken } of [tokens, other]) await server.logOut(accessToken);
}

async function queryBySocket(server, ok) {
	const { accessToken } = await server.logIn();
	const { client } = new Connection(server, () => ({ Authorization: `Bearer ${accessToken}` }), { lazy: true });
	const all = async (query) => {
		const results = [];
		for await (const result of client.iterate({ query })) results.push(result);
		return results;
	};
	assert.deepEqual(await all('{ me { username } }'), [{ data: { me: { username: server.username } } }]);
	const refused = await all('mutation { revokeApiToken(input: { id: "none" }) { apiToken { id } } }');
	assert.equal(refused.length, 1);
	assert.equal(refused[0].errors[0].extensions.code, 'BAD_USER_INPUT');
	ok('queries and mutations go by the socket, each one result and the end');
	await client.dispose();
	await server.logOut(accessToken);
}

// An unfinished mutation is sent again on the next connection, with the next token: it would end that session too.
async function logOutBySocket(server, ok) {
	for (let n = 0; n < 8; n++) {
		const { accessToken } = await server.logIn();
		const c = new Connection(server, () => ({ Authorization: `Bearer ${accessToken}` }), { lazy: true });
		const results = [];
		for await (const { data } of c.client.iterate({ query: 'mutation { logout { endedSessions } }' })) results.push(data);
		assert.deepEqual([results, c.asked], [[{ logout: { endedSessions: 1 } }], 1]);
		await c.client.dispose();
	}
	ok('a logout by the socket is answered, to its end, before the socket closes');
}

// After a reconnect, as when the server restarts, the client asks for all its subscriptions at once.
async function subscribeAgainAtOnce(server, ok) {
	const { accessToken } = await server.logIn();
	const c = new Connection(server, () => ({ Authorization: `Bearer ${accessToken}` }));
	const heard = Array.from({ length: 45 }, () => []);
	for (const received of heard) {
		const sink = { next: ({ data }) => received.push(data.securityEvents), error: (error) => (c.failed = error), complete: () => {} };
		c.client.subscribe({ query: SUBSCRIPTION }, sink);
		await sleep(20);
	}
	await server.hear(accessToken, heard.at(-1));
	c.socket.terminate();
	await until('the next connection', () => c.asked === 2);
	for (const received of heard) received.length = 0;
	await server.hear(accessToken, heard.at(-1));
	await until('an event for each', () => heard.every((received) => received.length > 0));
	assert.deepEqual([c.asked, c.fatal, c.failed], [2, null, null]);
	ok('45 subscriptions of one socket are back after a lost connection');
	await c.client.dispose();
	await server.logOut(accessToken);
}

async function tellTheOldSubprotocol(server, ok) {
	const socket = new WebSocket(server.socket, 'graphql-ws');
	const code = await new Promise((resolve, reject) => {
		socket.on('close', resolve);
		socket.on('error', reject);
	});
	assert.equal(code, 4406);
	ok('a client of the old subprotocol graphql-ws sees 4406');
}
