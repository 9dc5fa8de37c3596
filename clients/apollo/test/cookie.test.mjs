// Sessions whose refresh token is in the server's cookie, against a real server. A jar stands in for the browser's cookies;
// browser.test.mjs has real ones.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSession, inMemory } from '@latchkey/apollo/core';
import { ask, newTab, newUser, startServer, until, whoIs } from './server.mjs';

const MINUTE = 60_000;
let server;
before(async () => (server = await startServer({ LATCHKEY_COOKIE: 'strict' })));
after(() => server.stop());

// A Jar is the cookies of a browser.
class Jar {
	cookie = '';

	// wrap returns a fetch that sends and keeps the cookie, as a browser does where credentials are included.
	wrap(fetcher) {
		return async (url, options) => {
			assert.equal(options.credentials, 'include');
			const response = await fetcher(url, { ...options, headers: { ...options.headers, ...(this.cookie && { cookie: this.cookie }) } });
			for (const line of response.headers.getSetCookie()) this.cookie = /Max-Age=0/.test(line) ? '' : line.split(';')[0];
			return response;
		};
	}
}

// newBrowser returns a function that opens tabs, with one jar and one store of what inCookie keeps.
function newBrowser(t) {
	const jar = new Jar();
	const storage = { ...inMemory(), tabs: 'copy', cookie: true };
	const open = () => {
		const tab = newTab(t, server, storage);
		tab.session.dispose();
		const time = { offset: 0 };
		const clock = () => Date.now() + time.offset;
		const session = createSession({ url: `${server.url}/graphql`, storage, fetch: jar.wrap(tab.wire.fetch), clock });
		t.after(() => session.dispose());
		return { session, wire: tab.wire, time };
	};
	return { jar, storage, open };
}

async function loggedIn(t) {
	const browser = newBrowser(t);
	const tab = browser.open();
	await tab.session.login('admin', server.password);
	return { ...browser, ...tab };
}

// T188.
test('no token is stored, and scripts get no refresh token', async (t) => {
	const { session, jar, storage, wire } = await loggedIn(t);
	await session.refresh();
	assert.equal(await whoIs(server, await session.accessToken()), 'admin');
	const stored = storage.read();
	assert.ok(!stored.includes('lr_') && !stored.includes(await session.accessToken()), stored);
	assert.equal(JSON.parse(stored).viewer.username, 'admin');
	assert.match(jar.cookie, /^__Host-latchkey=lr_/);
	assert.ok(wire.sent.every(({ body }) => !body.includes('lr_')));
});

test('a reload restores the session by one refresh, for all callers', async (t) => {
	const { open, session } = await loggedIn(t);
	session.dispose();
	const reloaded = open();
	assert.equal(reloaded.session.state.viewer.username, 'admin', 'before any request');
	assert.equal(reloaded.session.current(), null);
	const tokens = new Set(await Promise.all(Array.from({ length: 5 }, () => reloaded.session.accessToken())));
	assert.equal(tokens.size, 1);
	assert.equal(reloaded.wire.count('refresh'), 1);
	assert.equal(await whoIs(server, [...tokens][0]), 'admin');
});

test('a cookie without anything stored is found, once a page', async (t) => {
	const browser = await loggedIn(t);
	browser.session.dispose();
	browser.storage.write(null);
	const found = browser.open();
	assert.equal(await whoIs(server, await found.session.accessToken()), 'admin');
	assert.equal(found.session.state.viewer.username, 'admin');

	const none = newBrowser(t).open();
	for (let n = 0; n < 3; n++) assert.equal(await none.session.accessToken(), null);
	assert.equal(none.wire.count('refresh'), 1);
	assert.deepEqual(none.session.state, { viewer: null, endedBy: null });
});

test('tabs refresh at the same instant: all go on', async (t) => {
	const one = await loggedIn(t);
	const tabs = [one, one.open(), one.open()];
	for (const { session } of tabs) await session.accessToken();
	for (let n = 0; n < 3; n++) {
		for (const { time } of tabs) time.offset += 15 * MINUTE;
		const tokens = await Promise.all(tabs.map(({ session }) => session.accessToken()));
		for (const token of tokens) assert.equal(await whoIs(server, token), 'admin');
	}
	for (const { session } of tabs) assert.equal(session.state.viewer.username, 'admin');
});

test('a tab uses the access token that another has, or has refreshed', async (t) => {
	const one = await loggedIn(t);
	const two = one.open();
	await until('the token', () => two.session.current()?.accessToken === one.session.current().accessToken);
	await one.session.refresh();
	await until('the next token', () => two.session.current().accessToken === one.session.current().accessToken);
	await two.session.accessToken();
	assert.equal(two.wire.count('refresh'), 0);
});

test('logout ends the session in all tabs and deletes the cookie', async (t) => {
	const one = await loggedIn(t);
	const two = one.open();
	const token = await two.session.accessToken();
	await one.session.logout();
	await until('the other tab', () => two.session.state.viewer === null);
	for (const { session } of [one, two]) assert.deepEqual(session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
	assert.equal(one.jar.cookie, '');
	assert.equal(await whoIs(server, token), 'REVOKED');
	assert.equal(await one.open().session.accessToken(), null);
});

test('logout works right after a reload, and with an access token that has expired', async (t) => {
	const { open, session, jar } = await loggedIn(t);
	const token = await session.accessToken();
	session.dispose();
	const reloaded = open();
	await reloaded.session.logout();
	assert.deepEqual(reloaded.wire.sent.map(({ kind }) => kind), ['logout', 'refresh', 'logout']);
	assert.equal(await whoIs(server, token), 'REVOKED');
	assert.equal(jar.cookie, '');
});

test('logout without a network is not undone by a reload, though the cookie is still there', async (t) => {
	const { open, session, wire, jar } = await loggedIn(t);
	wire.lose = () => 'request';
	await assert.rejects(session.logout(), { code: 'NETWORK_ERROR' });
	assert.notEqual(jar.cookie, '');
	const reloaded = open();
	assert.equal(await reloaded.session.accessToken(), null);
	assert.deepEqual(reloaded.session.state, { viewer: null, endedBy: 'LOGGED_OUT' });
});

test('a login that follows a logout at once keeps its cookie', async (t) => {
	const { session, jar } = await loggedIn(t);
	const leaving = session.logout();
	await session.login('admin', server.password);
	await leaving;
	assert.notEqual(jar.cookie, '');
	assert.equal(await whoIs(server, await session.refresh()), 'admin');
});

test('a login as another user is seen in the other tab, and ends the first session', async (t) => {
	const user = await newUser(t, server);
	const one = await loggedIn(t);
	const two = one.open();
	const first = await two.session.accessToken();
	await one.session.login(user.username, user.password);
	await until('the other tab', () => two.session.state.viewer.username === user.username);
	assert.equal(await whoIs(server, await two.session.accessToken()), user.username);
	await until('the end of the first', async () => (await whoIs(server, first)) === 'REVOKED');
	assert.equal(await whoIs(server, await two.session.refresh()), user.username);
});

// T189.
test('a cookie that was copied and used ends the session with REFRESH_REUSED, in each tab', async (t) => {
	const one = await loggedIn(t);
	const two = one.open();
	const stolen = one.jar.cookie.split('=')[1];
	for (let n = 0; n < 2; n++) await whoIs(server, await one.session.refresh());
	await ask(server, null, 'mutation($r: String!) { refresh(input: {refreshToken: $r}) { accessToken } }', { r: stolen });
	assert.equal(await one.session.refresh(), null);
	await until('the other tab', () => two.session.state.endedBy === 'REFRESH_REUSED');
	assert.equal(one.jar.cookie, '');
});

test('a cookie that is gone ends the session with MISSING', async (t) => {
	const { session, jar } = await loggedIn(t);
	jar.cookie = '';
	assert.equal(await session.refresh(), null);
	assert.deepEqual(session.state, { viewer: null, endedBy: 'MISSING' });
});

test('a server without LATCHKEY_COOKIE is named', async (t) => {
	const plain = await startServer();
	t.after(() => plain.stop());
	const session = createSession({ url: `${plain.url}/graphql`, storage: { ...inMemory(), cookie: true } });
	await assert.rejects(session.login('admin', plain.password), { code: 'COOKIES_OFF' });
	assert.equal(session.state.viewer, null);
});

test('docs/browser.md: a server that renders pages refreshes with the cookie of the request', async (t) => {
	const [, snippet] = /```js render\.mjs\n(.*?)```/s.exec(readFileSync(new URL('../../../docs/browser.md', import.meta.url), 'utf8'));
	const folder = mkdtempSync(join(tmpdir(), 'latchkey-render-'));
	t.after(() => rmSync(folder, { recursive: true }));
	writeFileSync(join(folder, 'render.mjs'), snippet);
	process.env.LATCHKEY_URL = `${server.url}/graphql`;
	const { viewerOf } = await import(join(folder, 'render.mjs'));
	const pages = createServer(async (request, response) => {
		const viewer = await viewerOf(request, response);
		response.end(viewer ? `Hello ${viewer.user.username}, ${await whoIs(server, viewer.accessToken)}` : 'Log in');
	});
	await new Promise((resolve) => pages.listen(0, '127.0.0.1', resolve));
	t.after(() => pages.close());

	const { jar, session } = await loggedIn(t);
	const visit = async () => {
		const response = await jar.wrap(fetch)(`http://127.0.0.1:${pages.address().port}/`, { credentials: 'include' });
		return [await response.text(), response.headers.get('cache-control')];
	};
	const first = jar.cookie;
	assert.deepEqual(await visit(), ['Hello admin, admin', 'no-store']);
	assert.notEqual(jar.cookie, first);
	assert.equal(await whoIs(server, await session.refresh()), 'admin', 'the browser goes on with the new cookie');
	for (let n = 0; n < 3; n++) assert.equal((await visit())[0], 'Hello admin, admin');
	await session.logout();
	assert.deepEqual(await visit(), ['Log in', null]);
});
