// graphql-ws with a session, against a real server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Subscriber, ask, newTab, newUser, sharedStorage, theServer, until } from './server.mjs';

let server;
before(async () => (server = await theServer()));
after(() => server.stop());

async function loggedIn(t, user = { username: 'admin', password: server.password }, ...options) {
	const tab = newTab(t, server, ...options);
	await tab.session.login(user.username, user.password);
	return tab;
}

test('a refreshed token is handed to the open socket, also one that another tab refreshed', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	const subscriber = new Subscriber(t, one.session);
	await subscriber.hear(server, one.session);
	await one.session.refresh();
	await until('the pong', () => subscriber.pongs.length === 1);
	await two.session.refresh();
	await until('the second pong', () => subscriber.pongs.length === 2);
	assert.deepEqual(subscriber.pongs, Array(2).fill({ authorization: 'accepted' }));
	await subscriber.hear(server, one.session);
	assert.deepEqual([subscriber.closed, subscriber.params.length, subscriber.failed], [[], 1, null]);
});

test('after 4403 the socket connects again with a refreshed token, and the viewer is the new one', async (t) => {
	const user = await newUser(t, server);
	const { session } = await loggedIn(t, user);
	const subscriber = new Subscriber(t, session);
	await subscriber.hear(server, session);
	await user.admin(`mutation { updateUser(input: {id: "${user.id}", roles: [ADMIN]}) { user { id } } }`);
	await until('the second connection', () => subscriber.params.length === 2);
	assert.deepEqual(subscriber.closed, [[4403, 'REVOKED']]);
	assert.notEqual(subscriber.params[0].Authorization, subscriber.params[1].Authorization);
	await subscriber.hear(server, session);
	assert.equal(subscriber.failed, null);
	assert.deepEqual(session.state.viewer.roles, ['ADMIN']);
});

test('a logout in one tab closes the idle socket of the other, which stays closed', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	const subscriber = new Subscriber(t, two.session);
	await until('the connection', () => subscriber.socket);
	await one.session.logout();
	await until('the end', () => subscriber.failed);
	await sleep(300);
	assert.deepEqual([subscriber.closed.length, subscriber.params.length], [1, 1]);
	assert.ok([4205, 4403].includes(subscriber.closed[0][0]), subscriber.closed[0]);
	assert.deepEqual(two.session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
	assert.equal(two.wire.sent.length, 0);
});

test('an idle socket hears that the session was revoked elsewhere, and the page is logged out', async (t) => {
	const { session, wire } = await loggedIn(t);
	const subscriber = new Subscriber(t, session);
	await until('the connection', () => subscriber.socket);
	await ask(server, await session.accessToken(), 'mutation { logout { endedSessions } }');
	await until('the end', () => session.state.endedBy === 'REVOKED');
	await until('the error', () => subscriber.failed);
	assert.deepEqual(subscriber.closed[0], [4403, 'REVOKED']);
	assert.equal(wire.count('refresh'), 1);
});

test('a damaged access token is refreshed, as the table of reasons says, and the session stays', async (t) => {
	const tab = await loggedIn(t);
	tab.storage.write(tab.storage.read().replace(/("accessToken":"[^"]*)"/, '$1x"'));
	const subscriber = new Subscriber(t, tab.session);
	await until('the refusal', () => subscriber.closed.length > 0);
	assert.deepEqual(subscriber.closed[0], [4403, 'MALFORMED']);
	assert.equal(tab.session.state.endedBy, null);
});

test('4401 of a connection without a token does not end a login that came meanwhile', async (t) => {
	const tab = newTab(t, server);
	const subscriber = new Subscriber(t, tab.session, {});
	await until('the end', () => subscriber.failed);
	assert.deepEqual([subscriber.closed, subscriber.params], [[[4401, 'MISSING']], [{}]]);
	await tab.session.login('admin', server.password);
	assert.equal(tab.session.state.viewer.username, 'admin');
});

test('a server that cannot be reached is tried again while somebody is logged in', async (t) => {
	const { session } = await loggedIn(t);
	let tries = 0;
	const url = () => (tries++ < 2 ? 'ws://127.0.0.1:9/graphql' : `${server.url.replace(/^http/, 'ws')}/graphql`);
	const subscriber = new Subscriber(t, session, { url });
	await subscriber.hear(server, session);
	assert.deepEqual([tries, subscriber.failed], [3, null]);
	subscriber.socket.terminate();
	await until('the next connection', () => tries === 4);
	await subscriber.hear(server, session);
});

test('another login takes the socket over', async (t) => {
	const user = await newUser(t, server);
	const { session } = await loggedIn(t);
	const subscriber = new Subscriber(t, session);
	await subscriber.hear(server, session);
	await session.login(user.username, user.password);
	await until('the next connection', () => subscriber.params.length === 2);
	await subscriber.hear(server, session);
	assert.equal(subscriber.failed, null);
});

test('without a network after 4403 the socket tries again with the old token, and nobody is logged out', async (t) => {
	const user = await newUser(t, server);
	const { session, wire } = await loggedIn(t, user, sharedStorage());
	const subscriber = new Subscriber(t, session);
	await until('the connection', () => subscriber.socket);
	wire.lose = () => 'request';
	await user.admin(`mutation { updateUser(input: {id: "${user.id}", roles: [ADMIN]}) { user { id } } }`);
	await until('further tries', () => subscriber.closed.length >= 3);
	assert.ok(subscriber.closed.every(([code]) => code === 4403));
	assert.equal(session.state.viewer.username, user.username);
	wire.lose = () => null;
	await until('the roles', () => session.state.viewer.roles[0] === 'ADMIN');
	await subscriber.hear(server, session);
	assert.equal(subscriber.failed, null);
});
