// Tabs of Firefox and WebKitGTK: node --test test/browsers.mjs, or make browsers. A browser that is not installed is skipped
// or, with LATCHKEY_TEST_REQUIRE_BROWSERS=1, fails.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { drivers } from './drivers.mjs';
import { servePage } from './pages.mjs';
import { startServer, until, whoIs } from './server.mjs';

let server, pages;

before(async () => {
	pages = await servePage();
	server = await startServer({ LATCHKEY_ORIGINS: pages.origin, LATCHKEY_COOKIE: 'strict' });
});

after(async () => {
	pages?.close();
	await server?.stop();
});

// Safari keeps no Secure cookies of http://127.0.0.1, and WebKitGTK neither.
const STORAGES = { Firefox: ['local', 'cookie'], WebKit: ['local'] };

for (const [name, { start, installed, packages }] of Object.entries(drivers)) {
	const missing = !installed && `${name} is not installed: apt-get install ${packages}`;
	if (missing && process.env.LATCHKEY_TEST_REQUIRE_BROWSERS === '1') {
		test(name, () => assert.fail(missing));
		continue;
	}
	test(name, { skip: missing, timeout: 180_000 }, async (t) => {
		const browser = await start();
		t.after(() => browser.close());
		for (const storage of STORAGES[name]) await t.test(storage, () => useTabs(browser, storage));
	});
}

async function useTabs(browser, storage) {
	const url = `${pages.origin}/?storage=${storage}&url=${encodeURIComponent(`${server.url}/graphql`)}`;
	const tabs = [await browser.open(url), await browser.open(url)];
	const shows = (tab, text) => {
		const seen = () => tab.evaluate('document.body.innerText').then((shown) => shown.includes(text), () => false);
		return until(text, seen, 15_000);
	};
	for (const tab of tabs) await shows(tab, 'nobody: null');

	await tabs[0].evaluate(`session.login('admin', ${JSON.stringify(server.password)}).then(() => true)`);
	for (const tab of tabs) await shows(tab, 'viewer: admin, me: admin');

	for (let round = 0; round < 3; round++) { // two tabs at the same instant
		const at = Date.now() + 500;
		for (const tab of tabs) {
			const refresh = 'offset += 900_000; session.accessToken().then((token) => { window.token = token; });';
			await tab.evaluate(`(window.token = null, void setTimeout(() => { ${refresh} }, ${at} - Date.now()))`);
		}
		for (const tab of tabs) {
			const token = await until('the token', () => tab.evaluate('window.token'));
			assert.equal(await whoIs(server, token), 'admin');
			assert.equal(await tab.evaluate('ask()'), 'admin');
		}
	}

	const [one, two] = tabs;
	for (let n = 0; n < 3; n++) { // a reload during a refresh
		await one.evaluate(`new Promise((resolve) => (session.refresh().catch(() => {}), setTimeout(resolve, ${n * 4})))`);
		await one.reload();
		await shows(one, 'viewer: admin, me: admin');
		assert.equal(await one.evaluate('session.refresh().then(ask)'), 'admin');
	}

	await one.evaluate('session.logout().then(() => true)');
	for (const tab of [one, two]) await shows(tab, 'nobody: LOGGED_OUT');
	assert.equal(await two.evaluate('session.accessToken()'), null);
}
