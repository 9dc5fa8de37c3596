// The session against a real server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LatchkeyError, createSession, inMemory } from '@latchkey/apollo/core';
import { ask, newTab, newUser, sharedStorage, theServer, until, whoIs } from './server.mjs';

const MINUTE = 60_000;
let server;
before(async () => (server = await theServer()));
after(() => server.stop());

async function loggedIn(t, ...options) {
	const tab = newTab(t, server, ...options);
	await tab.session.login('admin', server.password);
	return tab;
}

test('login returns the viewer, and its token is accepted', async (t) => {
	const { session } = newTab(t, server);
	assert.deepEqual(session.state, { viewer: null, endedBy: null });
	assert.equal(await session.accessToken(), null);
	const viewer = await session.login('admin', server.password);
	assert.equal(viewer.username, 'admin');
	assert.deepEqual(viewer.roles, ['ADMIN']);
	assert.ok(viewer.scopes.includes('users:read'));
	assert.deepEqual(session.state, { viewer, endedBy: null });
	assert.equal(await whoIs(server, await session.accessToken()), 'admin');
});

test('a wrong password is INVALID_CREDENTIALS, and nobody is logged in', async (t) => {
	const { session } = newTab(t, server);
	await assert.rejects(session.login('nobody-of-this-name', 'wrong'), (error) => error instanceof LatchkeyError && error.code === 'INVALID_CREDENTIALS');
	assert.equal(session.state.viewer, null);
});

test('a token that is about to expire is refreshed, once for all callers', async (t) => {
	const { session, wire, time } = await loggedIn(t);
	const first = await session.accessToken();
	assert.equal(await session.accessToken(), first);
	assert.equal(wire.count('refresh'), 0);
	time.offset += 15 * MINUTE;
	const tokens = new Set(await Promise.all(Array.from({ length: 20 }, () => session.accessToken())));
	assert.equal(tokens.size, 1);
	assert.ok(!tokens.has(first));
	assert.equal(wire.count('refresh'), 1);
	assert.equal(await whoIs(server, [...tokens][0]), 'admin');
});

test('two tabs refresh at the same instant: both go on, with one refresh token', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	assert.equal(two.session.state.viewer.username, 'admin');
	for (const { time } of [one, two]) time.offset += 15 * MINUTE;
	const tokens = await Promise.all([one.session.accessToken(), two.session.accessToken()]);
	assert.equal(one.wire.count('refresh') + two.wire.count('refresh'), 2);
	for (const token of tokens) assert.equal(await whoIs(server, token), 'admin');
	for (const { session } of [one, two]) assert.equal(await whoIs(server, await session.refresh()), 'admin');
});

test('an answer that got lost is asked for again', async (t) => {
	const { session, wire } = await loggedIn(t);
	wire.lose = (kind) => kind === 'refresh' && 'answer';
	await assert.rejects(session.refresh(), { code: 'NETWORK_ERROR' });
	assert.equal(session.state.viewer.username, 'admin');
	wire.lose = () => null;
	assert.equal(await whoIs(server, await session.refresh()), 'admin');
});

test('without a network the session stays, and accessToken returns the old token', async (t) => {
	const { session, wire, time } = await loggedIn(t);
	const token = await session.accessToken();
	wire.lose = () => 'request';
	time.offset += 15 * MINUTE;
	assert.equal(await session.accessToken(), token);
	assert.equal(await session.accessToken(), token);
	assert.equal(wire.count('refresh'), 1, 'a second try within a second');
	assert.equal(session.state.viewer.username, 'admin');
	wire.lose = () => null;
	time.offset += 2_000;
	assert.notEqual(await session.accessToken(), token);
});

test('a clock that is wrong by an hour, or is set by one, costs one refresh at most', async (t) => {
	for (const offset of [-60 * MINUTE, 60 * MINUTE]) {
		const { session, wire, time } = await loggedIn(t, sharedStorage(), offset);
		await session.accessToken();
		assert.equal(wire.count('refresh'), 0);
		time.offset = 0;
		await session.accessToken();
		assert.ok(session.current().dueIn <= 15 * MINUTE);
		for (let n = 0; n < 3; n++) assert.equal(await whoIs(server, await session.accessToken()), 'admin');
		assert.ok(wire.count('refresh') <= 1);
	}
});

test('logout ends the session at the server, and in the other tab', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	const token = await one.session.accessToken();
	let told = 0;
	two.session.subscribe(() => told++);
	await one.session.logout();
	assert.equal(await whoIs(server, token), 'REVOKED');
	await until('the other tab', () => two.session.state.viewer === null);
	assert.ok(told > 0);
	for (const { session } of [one, two]) {
		assert.deepEqual(session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
		assert.equal(await session.accessToken(), null);
	}
	assert.ok(!one.storage.read().includes('lr_'), 'the storage keeps a token');
});

test('logout of all ends the sessions of other devices', async (t) => {
	const device = newTab(t, server);
	const viewer = await newUser(t, server);
	await device.session.login(viewer.username, viewer.password);
	const here = newTab(t, server);
	await here.session.login(viewer.username, viewer.password);
	await here.session.logout(true);
	assert.equal(await device.session.refresh(), null);
	assert.deepEqual(device.session.state, { viewer: null, endedBy: 'REVOKED' });
});

test('logout of all says so if it could not: the session had ended already', async (t) => {
	const { session } = await loggedIn(t);
	await ask(server, await session.accessToken(), 'mutation { logout { endedSessions } }');
	await assert.rejects(session.logout(true), { code: 'UNAUTHENTICATED', reason: 'REVOKED' });
	assert.equal(session.state.viewer, null);
});

test('logout works with an access token that the server refuses', async (t) => {
	const tab = await loggedIn(t);
	const refreshToken = JSON.parse(tab.storage.read()).refreshToken;
	tab.storage.write(tab.storage.read().replace(/("accessToken":"[^"]*)"/, '$1x"'));
	await tab.session.logout();
	assert.deepEqual(tab.wire.sent.map(({ kind }) => kind), ['login', 'logout', 'refresh', 'logout']);
	const { errors } = await ask(server, null, 'mutation($r: String!) { refresh(input: {refreshToken: $r}) { accessToken } }', { r: refreshToken });
	assert.equal(errors[0].extensions.reason, 'REVOKED');
});

test('logout without a network ends the session here, and says that the server does not know', async (t) => {
	const { session, wire } = await loggedIn(t);
	wire.lose = () => 'request';
	await assert.rejects(session.logout(), { code: 'NETWORK_ERROR' });
	assert.equal(session.state.viewer, null);
});

test('a pair that a logout overtook is dropped', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	let release;
	one.wire.hold = new Promise((resolve) => (release = resolve));
	const refreshing = one.session.refresh();
	await until('the request', () => one.wire.count('refresh') === 1);
	await two.session.logout();
	release();
	assert.equal(await refreshing, null);
	assert.deepEqual(one.session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
	assert.ok(!one.storage.read().includes('lr_'));
});

test('a login that a logout overtook is dropped, and ended at the server', async (t) => {
	const { session, wire, storage } = newTab(t, server);
	let release;
	wire.hold = new Promise((resolve) => (release = resolve));
	const loggingIn = session.login('admin', server.password);
	await until('the request', () => wire.count('login') === 1);
	await session.logout();
	release();
	await assert.rejects(loggingIn, { code: 'LOGGED_OUT' });
	await until('the logout', () => wire.count('logout') === 1);
	assert.equal(session.state.viewer, null);
	assert.equal(storage.read(), null);
});

test('a pair that is older than the stored one is not saved', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	let release;
	one.wire.hold = new Promise((resolve) => (release = resolve));
	const refreshing = one.session.refresh();
	await until('the request', () => one.wire.count('refresh') === 1);
	await two.session.refresh(); // the same successor
	await two.session.refresh(); // the one after
	const newest = one.storage.read();
	release();
	assert.equal(await refreshing, JSON.parse(newest).accessToken);
	assert.equal(one.storage.read(), newest);
	assert.equal(await whoIs(server, await one.session.refresh()), 'admin');
});

test('a reload during a refresh goes on with the session', async (t) => {
	const page = await loggedIn(t);
	page.wire.lose = () => 'answer';
	const left = page.session.refresh().catch(() => {});
	page.session.dispose();
	await left;
	const reloaded = newTab(t, server, page.storage);
	assert.equal(reloaded.session.state.viewer.username, 'admin');
	assert.equal(await whoIs(server, await reloaded.session.refresh()), 'admin');
});

test('a refresh token that was stolen and used ends the session with REFRESH_REUSED, in each tab', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	two.session.subscribe(() => {});
	const stolen = JSON.parse(one.storage.read()).refreshToken;
	await one.session.refresh();
	await whoIs(server, await one.session.accessToken());
	await one.session.refresh();
	await ask(server, null, 'mutation($r: String!) { refresh(input: {refreshToken: $r}) { accessToken } }', { r: stolen });
	assert.equal(await one.session.refresh(), null);
	assert.deepEqual(one.session.state, { viewer: null, endedBy: 'REFRESH_REUSED' });
	await until('the other tab', () => two.session.state.endedBy === 'REFRESH_REUSED');
});

test('a disabled account ends the session with USER_DISABLED', async (t) => {
	const { session } = newTab(t, server);
	const user = await newUser(t, server);
	await session.login(user.username, user.password);
	await user.admin(`mutation { disableUser(input: {id: "${user.id}"}) { user { id } } }`);
	assert.equal(await session.refresh(), null);
	assert.deepEqual(session.state, { viewer: null, endedBy: 'USER_DISABLED' });
});

test('a duplicated tab, with a copy of the storage, follows the refreshes of the first', async (t) => {
	const copied = (text = null) => ({ tabs: 'copy', read: () => text, write: (next) => (text = next) });
	const one = await loggedIn(t, copied());
	const two = newTab(t, server, copied(one.storage.read()));
	for (let n = 0; n < 3; n++) {
		assert.equal(await whoIs(server, await one.session.refresh()), 'admin');
		await until('the other tab', () => two.storage.read() === one.storage.read());
	}
	assert.equal(await whoIs(server, await two.session.refresh()), 'admin');
	await two.session.logout();
	await until('the first tab', () => one.session.state.endedBy === 'LOGGED_OUT');
});

test('a duplicated tab ignores what is older, asks when it opens, and hears of an end then', async (t) => {
	const copied = (text) => ({ tabs: 'copy', read: () => text, write: (next) => (text = next) });
	const one = await loggedIn(t, copied(null));
	const old = one.storage.read();
	const { id } = JSON.parse(old);
	await one.session.refresh();
	const newest = one.storage.read();
	const channel = new BroadcastChannel(`latchkey ${server.url}/graphql`);
	t.after(() => channel.close());
	let heard = 0;
	channel.onmessage = () => heard++;
	channel.postMessage(JSON.parse(old));
	channel.postMessage({ id });
	await until('the answer', () => heard > 0);
	assert.equal(one.storage.read(), newest);

	const two = newTab(t, server, copied(old));
	await until('the newest', () => two.storage.read() === newest);
	two.session.dispose();
	await one.session.logout();
	await one.session.login('admin', server.password);
	two.session.subscribe(() => {});
	await until('the end', () => two.session.state.endedBy === 'LOGGED_OUT');
});

test('a session that has ended is not revived by a tab that had not heard of it', async (t) => {
	const one = await loggedIn(t);
	const live = one.storage.read();
	await one.session.logout();
	one.storage.write(live);
	assert.equal(await one.session.accessToken(), null);
	assert.deepEqual(one.session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
	assert.ok(!one.storage.read().includes('lr_'));
});

test('a refusal of the old session does not end the new one of another tab', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	await ask(server, await one.session.accessToken(), 'mutation { logout { endedSessions } }');
	let release;
	one.wire.hold = new Promise((resolve) => (release = resolve));
	const refreshing = one.session.refresh();
	await until('the request', () => one.wire.count('refresh') === 1);
	await two.session.login('admin', server.password);
	release();
	assert.equal(await refreshing, await two.session.accessToken());
	assert.equal(await whoIs(server, await one.session.accessToken()), 'admin');
});

test('what was refused for one user is not retried for the next', async (t) => {
	const user = await newUser(t, server);
	const { session } = await loggedIn(t);
	const token = await session.accessToken();
	await session.login(user.username, user.password);
	assert.equal(await session.recover(token, 'REVOKED'), null);
	assert.equal(session.state.viewer.username, user.username);
});

test('what ends or forgets an old token does not touch the session', async (t) => {
	const { session, storage } = await loggedIn(t);
	const old = await session.accessToken();
	await session.refresh();
	const held = storage.read();
	session.end(old, 'REVOKED');
	session.forget(old);
	assert.equal(await session.recover(old, 'USER_DISABLED'), null);
	assert.equal(storage.read(), held);
});

test('a tab does not send the next refresh token while its request with the last is under way', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	let release;
	one.wire.hold = new Promise((resolve) => (release = resolve));
	const first = one.session.refresh();
	await until('the request', () => one.wire.count('refresh') === 1);
	await two.session.refresh();
	const second = one.session.refresh();
	await new Promise(setImmediate);
	assert.equal(one.wire.count('refresh'), 1);
	release();
	assert.notEqual(await first, await second);
	assert.equal(one.wire.count('refresh'), 2);
});

test('an unshared storage tells other tabs nothing', async (t) => {
	const heard = [];
	const channel = new BroadcastChannel(`latchkey ${server.url}/graphql`);
	channel.onmessage = ({ data }) => heard.push(data);
	t.after(() => channel.close());
	const { session } = await loggedIn(t, inMemory());
	await session.refresh();
	await session.logout();
	await loggedIn(t);
	await until('the message of a shared storage', () => heard.length > 0);
	assert.deepEqual(heard, [null]);
});

test('subscribe after dispose hears of other tabs again, as in React strict mode', async (t) => {
	const one = await loggedIn(t);
	const two = newTab(t, server, one.storage);
	two.session.subscribe(() => {})();
	two.session.dispose();
	two.session.dispose();
	let told = 0;
	two.session.subscribe(() => told++);
	await one.session.logout();
	await until('the other tab', () => told > 0 && two.session.state.viewer === null);
});

test('a second login ends the first session', async (t) => {
	const { session, wire } = await loggedIn(t);
	const first = await session.accessToken();
	await session.login('admin', server.password);
	await until('the end', async () => (await whoIs(server, first)) === 'REVOKED');
	assert.equal(wire.count('logout'), 1);
	assert.equal(await whoIs(server, await session.accessToken()), 'admin');
});

test('storage with garbage is nobody logged in', async (t) => {
	for (const text of ['{', '5', '"x"', '[]', 'null', '{"id":"x"}', '{"endedBy":5}']) {
		const storage = sharedStorage();
		storage.write(text);
		const session = createSession({ url: `${server.url}/graphql`, storage });
		t.after(() => session.dispose());
		assert.equal(session.state.viewer, null);
		assert.equal(await session.accessToken(), null);
		await session.logout();
	}
});
