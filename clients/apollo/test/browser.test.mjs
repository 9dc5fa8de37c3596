// Real tabs of Chromium, on a page of another origin than the server's. CHROMIUM names the browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';
import { servePage } from './pages.mjs';
import { ask, startServer, until } from './server.mjs';

let server, pages, browser, origin;

before(async () => {
	pages = await servePage();
	({ origin } = pages);
	server = await startServer({ LATCHKEY_ORIGINS: origin, LATCHKEY_COOKIE: 'strict' });
	browser = await chromium.launch({
		executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
		headless: true,
		ignoreDefaultArgs: ['--disable-back-forward-cache'],
		args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
	});
});

after(async () => {
	await browser?.close();
	pages?.close();
	await server?.stop();
});

// newContext returns a browser profile with a function that opens tabs, and what went wrong in them.
async function newContext(t, storage = 'local') {
	const context = await browser.newContext();
	t.after(() => context.close());
	const faults = [];
	context.on('page', (page) => {
		page.setDefaultTimeout(15_000);
		page.on('pageerror', (error) => faults.push(error.message));
		page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
	});
	const open = async () => {
		const page = await context.newPage();
		await page.goto(`${origin}/?storage=${storage}&url=${encodeURIComponent(`${server.url}/graphql`)}`);
		return page;
	};
	return { open, faults };
}

const logIn = (page) => page.evaluate((password) => session.login('admin', password).then(() => {}), server.password);
const stored = (page) => page.evaluate(() => ['eyJ', 'lr_'].filter((token) => JSON.stringify(localStorage).includes(token))); // access, refresh
const shows = (page, text) => page.getByText(text).waitFor();
const expire = (page) => page.evaluate(() => void (offset += 900_000));

for (const storage of ['local', 'cookie']) test(`${storage}: two tabs log in, refresh at the same instant, reload during a refresh, log out`, async (t) => {
	const { open, faults } = await newContext(t, storage);
	const [one, two] = [await open(), await open()];
	for (const page of [one, two]) await shows(page, 'nobody: null');

	await logIn(one);
	for (const page of [one, two]) await shows(page, 'viewer: admin, me: admin');

	const tokens = () => Promise.all([one, two].map((page) => page.evaluate(() => session.accessToken())));
	const before = await tokens();
	assert.equal(before[0], before[1]);
	assert.deepEqual(await stored(one), storage === 'local' ? ['eyJ', 'lr_'] : [], 'tokens in localStorage');
	for (const page of [one, two]) await expire(page);
	for (const token of await tokens()) assert.notEqual(token, before[0]);
	for (const page of [one, two]) assert.equal(await page.evaluate(() => ask()), 'admin');

	for (let n = 0; n < 5; n++) {
		await one.evaluate((wait) => new Promise((resolve) => (session.refresh().catch(() => {}), setTimeout(resolve, wait))), n * 4);
		await one.reload();
		await shows(one, 'viewer: admin, me: admin');
		assert.equal(await one.evaluate(() => session.refresh().then(ask)), 'admin');
	}

	await two.evaluate(() => listen());
	await until('the socket', () => two.evaluate(() => window.connected));
	await one.evaluate(() => session.logout());
	for (const page of [one, two]) await shows(page, 'nobody: LOGGED_OUT');
	await until('the end of the socket', () => two.evaluate(() => closes.length > 0));
	assert.deepEqual(await stored(two), []);
	assert.deepEqual(faults, []);
});

test('a refresh in one tab keeps the socket of the other open', async (t) => {
	const { open, faults } = await newContext(t);
	const [one, two] = [await open(), await open()];
	await logIn(one);
	await shows(two, 'viewer: admin, me: admin');
	await two.evaluate(() => listen());
	await until('the socket', () => two.evaluate(() => window.connected));
	await one.evaluate(() => session.refresh());
	await until('an event', async () => {
		await ask(server, null, 'mutation($p: String!) { login(input: {username: "admin", password: $p}) { tokenType } }', { p: server.password });
		return two.evaluate(() => events.includes('LOGIN'));
	});
	assert.deepEqual(await two.evaluate(() => closes), []);
	assert.deepEqual(faults, []);
});

test('a duplicated tab with a copy of sessionStorage follows the first', async (t) => {
	const { open, faults } = await newContext(t, 'session');
	const one = await open();
	await logIn(one);
	await shows(one, 'viewer: admin, me: admin');
	const [two] = await Promise.all([one.waitForEvent('popup'), one.evaluate(() => void open(location.href))]);
	await shows(two, 'viewer: admin, me: admin');
	for (let n = 0; n < 3; n++) {
		assert.equal(await one.evaluate(() => session.refresh().then(ask)), 'admin');
		await until('the refresh', async () => (await one.evaluate(() => sessionStorage.latchkey)) === (await two.evaluate(() => sessionStorage.latchkey)));
	}
	assert.equal(await two.evaluate(() => session.refresh().then(ask)), 'admin');
	await two.evaluate(() => session.logout());
	for (const page of [one, two]) await shows(page, 'nobody: LOGGED_OUT');
	assert.deepEqual(faults, []);
});

test('a page that comes back from the back/forward cache shows a logout that it missed', async (t) => {
	const { open } = await newContext(t);
	const [one, two] = [await open(), await open()];
	await logIn(one);
	await shows(two, 'viewer: admin, me: admin');
	await two.goto(`${origin}/app.js`);
	await one.evaluate(() => session.logout());
	await two.goBack({ waitUntil: 'commit' });
	await shows(two, 'nobody: LOGGED_OUT');

	// Chromium loads a page anew that was sent a message meanwhile; where it is kept, it looks when it is shown.
	const three = await open();
	await logIn(three);
	await shows(three, 'viewer: admin, me: admin');
	await three.evaluate(() => {
		localStorage.latchkey = JSON.stringify({ id: JSON.parse(localStorage.latchkey).id, endedBy: 'REVOKED' });
		dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }));
	});
	await shows(three, 'nobody: REVOKED');
});

test('hooks in strict mode subscribe and unsubscribe in pairs, and a session that was disposed of goes on', async (t) => {
	const { open, faults } = await newContext(t);
	const [one, two] = [await open(), await open()];
	await one.evaluate(() => session.dispose());
	await logIn(two);
	assert.equal(await one.evaluate(() => session.accessToken().then((token) => token.length > 0)), true);
	await shows(one, 'viewer: admin, me: admin');
	assert.equal(await one.evaluate(() => subscribed), 2); // App and Profile
	await one.evaluate(() => unmount());
	assert.equal(await one.evaluate(() => subscribed), 0);
	assert.deepEqual(faults, []);
});

test('a listener that throws stops neither the session nor other listeners', async (t) => {
	const { open, faults } = await newContext(t);
	const page = await open();
	await page.evaluate(() => {
		session.subscribe(() => {
			throw new Error('of a listener');
		});
		session.subscribe(() => (window.told = true));
	});
	await logIn(page);
	await shows(page, 'viewer: admin, me: admin');
	assert.ok(await page.evaluate(() => told));
	assert.ok(faults.length > 0 && faults.every((fault) => fault === 'of a listener'));
});
