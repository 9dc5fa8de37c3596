// Uses examples/web as its users do, in a real browser, against a Latchkey of its own: logs in, makes an API token and
// revokes it, logs out another device and sees that live, searches users and turns pages.
//
// Usage: node web.mjs [FOLDER]
//
// It needs examples/web and clients/apollo, built. FOLDER gets screenshots. CHROMIUM names the browser, by default
// /usr/bin/chromium. The exit code is 0 if all went well.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { ask, startServer, until, whoIs } from '../../clients/apollo/test/server.mjs';

const [folder] = process.argv.slice(2);
const USERS = 45;
const faults = []; // what must not happen
const server = await startServer({ LATCHKEY_COOKIE: 'strict' });
const pages = await servePages();
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync',
	],
});

try {
	await makeUsers();
	const page = await openBrowser();
	await logIn(page);
	await keepNoTokens(page);
	await makeAndRevokeToken(page);
	await logOutOtherDevice(page);
	await findUsers(page);
	await useKeyboard(page);
	await looksWell(page);
	await logOut(page);
	assert.deepEqual(faults, []);
	ok('nothing was blocked, broken or loaded from elsewhere');
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	for (const fault of faults) console.error(`fault: ${fault}`);
	process.exitCode = 1;
} finally {
	await browser.close();
	pages.stop();
	await server.stop();
}

// servePages serves the built pages and passes /graphql on, as a proxy would in production.
async function servePages() {
	const probe = createServer().listen(0, '127.0.0.1');
	await new Promise((resolve) => probe.on('listening', resolve));
	const { port } = probe.address();
	await new Promise((resolve) => probe.close(resolve));
	const vite = ['node_modules/vite/bin/vite.js', 'preview', '--host', '127.0.0.1', '--port', port, '--strictPort'];
	const child = spawn(process.execPath, vite, {
		cwd: fileURLToPath(new URL('../../examples/web', import.meta.url)),
		env: { ...process.env, LATCHKEY_URL: server.url },
		stdio: ['ignore', 'ignore', 'inherit'],
	});
	process.on('exit', () => child.kill());
	process.on('SIGTERM', () => process.exit(1));
	const url = `http://127.0.0.1:${port}/`;
	await until('the page', () => fetch(url).then(({ ok }) => ok, () => false), 30_000);
	return { url, stop: () => child.kill() };
}

async function makeUsers() {
	const login = 'mutation($p: String!) { login(input: {username: "admin", password: $p}) { accessToken } }';
	const { data } = await ask(server, null, login, { p: server.password });
	const token = data.login.accessToken;
	const names = ['Ada Lovelace', 'Grace Hopper', 'Alan Turing', 'Barbara Liskov', 'Edsger Dijkstra'];
	for (let n = 0; n < USERS; n++) {
		const [first, last] = names[n % names.length].split(' ');
		const username = `${first}-${n}`.toLowerCase();
		const input = { username, name: `${first} ${last}`, email: `${username}@example.com` };
		const { errors } = await ask(server, token, 'mutation($i: CreateUserInput!) { createUser(input: $i) { user { id } } }', { i: input });
		assert.equal(errors, undefined);
	}
	await ask(server, token, 'mutation { logout { endedSessions } }');
}

// openBrowser returns a page in a profile of its own.
async function openBrowser() {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
	const page = await context.newPage();
	page.setDefaultTimeout(15_000);
	page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
	page.on('pageerror', (error) => faults.push(error.message));
	page.on('requestfailed', (request) => { // Apollo Client aborts what nobody waits for any more
		if (request.failure().errorText !== 'net::ERR_ABORTED') faults.push(`failed: ${request.url()}`);
	});
	page.on('request', (request) => request.url().startsWith(pages.url) || faults.push(`elsewhere: ${request.url()}`));
	await page.goto(pages.url);
	return page;
}

async function logIn(page) {
	await page.getByLabel('User name or e-mail').fill('admin');
	await page.getByLabel('Password').fill('wrong');
	await page.keyboard.press('Enter');
	await page.getByRole('alert').getByText('the user name or the password is wrong').waitFor();
	assert.equal(await page.getByLabel('User name or e-mail').inputValue(), 'admin');
	await screenshot(page, 'login');
	await page.getByLabel('Password').fill(server.password);
	await page.keyboard.press('Enter');
	await page.getByRole('heading', { name: 'admin' }).waitFor();
	await page.reload();
	await page.getByRole('heading', { name: 'admin' }).waitFor();
	ok('a user logs in, sees the profile, and is still logged in after a reload');
}

async function keepNoTokens(page) {
	const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }) + document.cookie);
	assert.ok(!/lr_|eyJ/.test(stored), stored);
	const [cookie] = await page.context().cookies();
	assert.deepEqual([cookie.name, cookie.httpOnly, cookie.secure, cookie.sameSite], ['__Host-latchkey', true, true, 'Strict']);
	ok('scripts see no refresh token, and no token is stored');
}

async function makeAndRevokeToken(page) {
	await open(page, 'Tokens');
	await page.getByLabel('Name').fill('deploy script');
	await page.getByLabel('users:read').check();
	await page.getByRole('button', { name: 'Create token' }).click();
	const token = await page.locator('output').innerText();
	assert.equal(await whoIs(server, token), 'admin');
	const row = page.getByRole('listitem').filter({ hasText: 'deploy script' });
	await row.getByText('users:read').waitFor();
	await screenshot(page, 'token');
	await page.getByRole('button', { name: 'Done' }).click();
	assert.equal(await page.getByText(token).count(), 0);
	await row.getByRole('button', { name: 'Revoke deploy script' }).click();
	await row.waitFor({ state: 'detached' });
	assert.equal(await whoIs(server, token), 'REVOKED');
	ok('an API token is made, shown once, and revoked');
}

async function logOutOtherDevice(page) {
	await open(page, 'Sessions');
	await page.getByText('this device').waitFor();
	const other = await openBrowser();
	await other.getByLabel('User name or e-mail').fill('admin');
	await other.getByLabel('Password').fill(server.password);
	await other.keyboard.press('Enter');
	await other.getByRole('heading', { name: 'admin' }).waitFor();
	const button = page.getByRole('button', { name: /^Log out .+/ });
	await button.waitFor(); // the event of the login has the list read again
	await screenshot(page, 'sessions');
	await button.click();
	await button.waitFor({ state: 'detached' });
	await other.getByText('Your session was ended from another device.').waitFor();
	await other.context().close();
	await open(page, 'Events');
	for (const kind of ['API token created', 'API token revoked', 'Login', 'Session revoked']) {
		await page.getByText(kind, { exact: true }).waitFor();
	}
	await screenshot(page, 'events');
	ok('another device is logged out at once, and the events arrive live');
}

async function findUsers(page) {
	await open(page, 'Users');
	await page.getByText(`20 of ${USERS + 1} users`).waitFor();
	await screenshot(page, 'users');
	const more = page.getByRole('button', { name: 'Show more' });
	await more.click();
	await page.getByText(`40 of ${USERS + 1} users`).waitFor();
	await more.click();
	await page.getByText(`${USERS + 1} of ${USERS + 1} users`).waitFor();
	assert.equal(await more.count(), 0);
	const names = await page.getByRole('listitem').locator('strong').allInnerTexts();
	assert.equal(new Set(names).size, USERS + 1);
	await page.getByLabel('Search').fill('hopper');
	await page.getByText('9 of 9 users').waitFor();
	assert.equal(await page.getByRole('listitem').count(), 9);
	ok('users are searched, and page after page is shown');
}

// useKeyboard goes through the page by Tab: each stop has a name and a visible focus.
async function useKeyboard(page) {
	await open(page, 'Tokens');
	await page.reload();
	await page.getByLabel('Name').waitFor();
	const stops = [];
	for (let n = 0; n < 20; n++) {
		await page.keyboard.press('Tab');
		const stop = await page.evaluate(() => {
			const { activeElement: element } = document;
			if (element === document.body) return null;
			const name = element.labels?.[0]?.innerText || element.innerText;
			return { name: name.trim().split('\n')[0], outline: getComputedStyle(element).outlineStyle };
		});
		if (!stop) break;
		assert.ok(stop.name && stop.outline !== 'none', JSON.stringify(stop));
		stops.push(stop.name);
	}
	for (const name of ['Profile', 'Users', 'Log out', 'Name', 'Expires', 'Create token']) {
		assert.ok(stops.includes(name), `Tab does not reach ${name}: ${stops}`);
	}
	ok('the keyboard reaches everything, and shows where it is');
}

// looksWell visits each page on a telephone and a desktop, by day and by night: nothing is cut off or hard to read.
async function looksWell(page) {
	for (const colorScheme of ['light', 'dark']) {
		await page.emulateMedia({ colorScheme });
		for (const width of [1280, 390]) {
			await page.setViewportSize({ width, height: width > 390 ? 800 : 844 });
			for (const name of ['Profile', 'Sessions', 'Tokens', 'Events', 'Users']) {
				await open(page, name);
				await page.waitForLoadState('networkidle');
				const scrolled = await page.evaluate(() => document.scrollingElement.scrollWidth);
				assert.ok(scrolled <= width, `${name} is ${scrolled} pixels wide, of ${width}`);
				assert.deepEqual(await page.evaluate(faintTexts), [], `${name}, ${colorScheme}`);
				await screenshot(page, `${name.toLowerCase()}-${width}-${colorScheme}`);
			}
		}
	}
	await page.setViewportSize({ width: 1280, height: 800 });
	ok('the pages fit 390 and 1280 pixels, and have enough contrast in light and dark');
}

// faintTexts runs in the page: it lists the texts with a contrast below 4.5 (WCAG 2, AA).
function faintTexts() {
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const luminance = (color) => {
		canvas.fillStyle = color;
		canvas.fillRect(0, 0, 1, 1);
		const parts = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
		const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const backgroundOf = (element) => {
		const color = element ? getComputedStyle(element).backgroundColor : 'Canvas';
		return color === 'rgba(0, 0, 0, 0)' ? backgroundOf(element.parentElement) : color;
	};
	const faint = [];
	for (const element of document.body.querySelectorAll('*')) {
		const text = [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data).join('').trim();
		if (!text || element.closest('script, .hidden')) continue;
		const [dark, light] = [luminance(getComputedStyle(element).color), luminance(backgroundOf(element))].sort((a, b) => a - b);
		const contrast = (light + 0.05) / (dark + 0.05);
		if (contrast < 4.5) faint.push(`${text}: ${contrast.toFixed(2)}`);
	}
	return faint;
}

async function logOut(page) {
	const second = await page.context().newPage();
	await second.goto(pages.url);
	await second.getByRole('heading', { name: 'admin' }).waitFor();
	await page.getByRole('button', { name: 'Log out' }).first().click();
	for (const tab of [page, second]) await tab.getByText('You are logged out.').waitFor();
	await until('the end of the cookie', async () => (await page.context().cookies()).length === 0);
	ok('log-out ends the session in all tabs, and deletes the cookie');
}

async function open(page, name) {
	await page.getByRole('navigation').getByRole('link', { name }).click();
	await page.waitForFunction((title) => document.title.startsWith(title), name);
}

async function screenshot(page, name) {
	if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
}

function ok(what) {
	console.log(`ok: ${what}`);
}
