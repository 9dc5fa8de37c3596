// What takes as long as an access token lives: a minute, the shortest that a server may be set to, and 30 s of leeway.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { authFetch } from '@latchkey/apollo/core';
import { Subscriber, newTab, startServer, until, whoIs } from './server.mjs';

let server;
before(async () => (server = await startServer({ LATCHKEY_ACCESS_TTL: '1m' })));
after(() => server.stop());

async function loggedIn(t) {
	const tab = newTab(t, server);
	await tab.session.login('admin', server.password);
	return tab;
}

test('expiry', { concurrency: true }, async (t) => {
	const idle = t.test('an idle socket outlives the token that opened it', async (t) => {
		const { session, wire } = await loggedIn(t);
		const first = await session.accessToken();
		const subscriber = new Subscriber(t, session);
		await until('the connection', () => subscriber.socket);
		await until('the end of the first token', async () => (await whoIs(server, first)) === 'EXPIRED', 100_000);
		await subscriber.hear(server, session);
		assert.deepEqual([subscriber.closed, subscriber.params.length, subscriber.failed], [[], 1, null]);
		assert.ok(wire.count('refresh') <= 3);
	});

	const asleep = t.test('a machine that slept past the expiry, with a clock that stood still, goes on', async (t) => {
		const { session, wire, time } = await loggedIn(t);
		const first = await session.accessToken();
		const start = Date.now();
		await until('the end of the token', async () => (await whoIs(server, first)) === 'EXPIRED', 100_000);
		time.offset -= Date.now() - start;
		assert.equal(await session.accessToken(), first, 'the session knows of nothing');
		const send = authFetch(session);
		const response = await send(session.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query": "{ me { username } }"}' });
		assert.equal((await response.json()).data.me.username, 'admin');
		assert.equal(wire.count('refresh'), 1);
	});

	const socket = t.test('a socket that slept past the expiry connects again', async (t) => {
		const { session, wire } = await loggedIn(t);
		const subscriber = new Subscriber(t, session);
		await until('the connection', () => subscriber.socket);
		wire.lose = () => 'request'; // as asleep: no refresh in time
		await until('the end', () => subscriber.closed.length > 0, 100_000);
		wire.lose = () => null;
		assert.deepEqual(subscriber.closed[0], [4403, 'EXPIRED']);
		await subscriber.hear(server, session);
		assert.equal(subscriber.failed, null);
	});
	await Promise.all([idle, asleep, socket]);
});
