// Uses the GraphiQL page of a running Latchkey as its users do, in a real browser: logs in by typing, runs operations and
// a subscription, reloads, logs out.
//
// Usage: node graphiql.mjs [URL PASSWORD [SCREENSHOT.png]]
//
// URL is the address of the page and PASSWORD that of the user admin. Without them it starts a server of its own, with
// LATCHKEY_COOKIE, which takes clients/apollo with what its tests need. CHROMIUM
// names the browser, by default /usr/bin/chromium. The exit code is 0 if all went
// well and nothing on the page was blocked, broken or loaded from elsewhere.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { chromium } from 'playwright-core';

const [givenUrl, givenPassword, screenshot] = process.argv.slice(2);
const own = givenUrl ? null : await startOwn();
const url = givenUrl ?? `${own.url}/`;
const password = givenPassword ?? own?.password;
assert.ok(password, 'usage: node graphiql.mjs [URL PASSWORD [SCREENSHOT.png]]');

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	headless: true,
	args: [
		'--no-sandbox',
		'--disable-gpu',
		'--disable-quic',
		'--no-first-run',
		'--disable-background-networking',
		'--disable-component-update',
		'--disable-sync',
	],
});
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
const page = await context.newPage();
page.setDefaultTimeout(15_000);

// What must not happen, in the order in which it did.
const faults = [];

try {
	await watch();
	await openPage();
	await leaveEditor();
	await showAccess();
	await refuseAnonymous();
	await refuseWrongPassword();
	const token = await logIn();
	await showViewer('Me', 'header of the page');
	await receiveEvents();
	await surviveReload();
	await keepRefreshToken();
	await refreshInTime();
	await replaceToken(token);
	await fitTelephones();
	await logOut();
	await keepNoSecrets(token);
	await logInWithSecondFactor();
	assert.equal(faults.length, 0, 'the page has faults');
	ok('nothing was blocked, broken or loaded from elsewhere');
} catch (error) {
	console.error(`FAILED: ${error.message}`);
	for (const fault of faults) console.error(`fault: ${fault}`);
	process.exitCode = 1;
} finally {
	if (screenshot) await page.screenshot({ path: screenshot });
	await browser.close();
	await own?.stop();
}

async function startOwn() {
	const { startServer } = await import('../../clients/apollo/test/server.mjs');
	return startServer({ LATCHKEY_COOKIE: 'strict' });
}

// watch notes every fault of the page, and keeps it from reaching elsewhere.
async function watch() {
	const origin = new URL(url).origin;
	page.on('console', (message) => {
		if (message.type() === 'error') faults.push(`console: ${message.text()}`);
	});
	page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
	page.on('requestfailed', (request) => faults.push(`request failed: ${request.url()}`));
	page.on('response', (response) => {
		if (response.status() >= 400) faults.push(`status ${response.status()}: ${response.url()}`);
	});
	page.on('websocket', (socket) => {
		if (new URL(socket.url()).host !== new URL(url).host) faults.push(`socket: ${socket.url()}`);
	});
	await page.route(
		(address) => !['data:', 'blob:'].includes(address.protocol) && address.origin !== origin,
		(route) => {
			faults.push(`elsewhere: ${route.request().url()}`);
			return route.abort();
		},
	);
	await page.exposeFunction('noteFault', (fault) => faults.push(fault));
	await page.addInitScript(() => {
		addEventListener('securitypolicyviolation', (event) => {
			noteFault(`policy: ${event.violatedDirective} blocked ${event.blockedURI}`);
		});
	});
}

// openPage waits until GraphiQL has loaded the schema, and looks at what it shows.
async function openPage() {
	const [introspection] = await Promise.all([posted(), page.goto(url)]);
	const { data } = await introspection.json();
	assert.ok(data?.__schema, 'the page got no schema');
	assert.equal(await page.title(), 'Latchkey');
	assert.match(await content('query'), /Log in above/);
	assert.ok(await page.getByLabel('Password').isVisible());
	assert.equal(await page.getByLabel('Password').getAttribute('type'), 'password');
	ok('the page opens, with a form to log in');
}

// refuseAnonymous asks who is logged in, while nobody is.
async function refuseAnonymous() {
	await openTab('Me');
	const { data, errors } = await run();
	assert.equal(data?.me ?? null, null);
	assert.equal(errors?.[0]?.extensions?.code, 'UNAUTHENTICATED');
	ok('without a session, me is UNAUTHENTICATED');
}

// submit fills in the form, by keyboard alone.
async function submit(text) {
	await page.getByLabel('User').focus();
	await page.keyboard.insertText('admin');
	await page.keyboard.press('Tab');
	await page.keyboard.insertText(text);
	const [response] = await Promise.all([posted(), page.keyboard.press('Enter')]);
	return response.json();
}

async function refuseWrongPassword() {
	await submit(`${password} is wrong`);
	await page.getByRole('alert').getByText('the user name or the password is wrong').waitFor();
	await page.getByLabel('Password').fill('');
	await page.getByLabel('User').fill('');
	ok('a wrong password is told in the bar');
}

// logIn returns the access token.
async function logIn() {
	const { data } = await submit(password);
	await page.locator('#viewer').getByText('admin', { exact: true }).waitFor();
	assert.match(await page.locator('#viewer').innerText(), /ADMIN: .*users:read/);
	assert.match(await page.locator('#viewer-left').innerText(), /^(10:00|9:5\d)$/);
	assert.equal(await page.locator('#bar-message').textContent(), '');
	assert.equal(await page.evaluate(() => document.activeElement.id), 'logout');
	ok('the bar shows who is logged in, the scopes and the time left');
	return data.login.accessToken;
}

// showViewer runs a query of a tab, which no one has given a header.
async function showViewer(tab, by) {
	await openTab(tab);
	const { data, errors } = await run();
	assert.ok(!errors, `me failed: ${JSON.stringify(errors)}`);
	assert.equal(data.me.username, 'admin');
	ok(`me is admin, by the ${by}`);
}

// receiveEvents runs the subscription, while a login happens elsewhere.
async function receiveEvents() {
	await openTab('Events');
	const acknowledged = new Promise((resolve) => page.once('websocket', (socket) => {
		socket.on('framereceived', ({ payload }) => payload.includes('connection_ack') && resolve());
	}));
	await page.getByRole('button', { name: /^Execute query/ }).click();
	await acknowledged;
	await page.waitForTimeout(500); // the subscription follows
	const query = 'mutation($p: String!) { login(input: {username: "admin", password: $p}) { accessToken } }';
	await page.request.post(new URL('graphql', url).href, { data: { query, variables: { p: password } } });
	await page.waitForFunction(() => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue().includes('"LOGIN"'));
	await page.getByRole('button', { name: /^Stop query/ }).click();
	ok('a subscription has the token of the session');
}

async function surviveReload() {
	await page.reload();
	await page.locator('#viewer').getByText('admin', { exact: true }).waitFor();
	await showViewer('Me', 'session after a reload');
}

// keepRefreshToken looks where the refresh token is: in a cookie that no script reads, which other tabs use too, or in
// sessionStorage.
async function keepRefreshToken() {
	const inScript = (await stored('sessionStorage')) + (await stored('localStorage')) + (await page.evaluate(() => document.cookie));
	const cookies = (await context.cookies()).map(({ name, httpOnly }) => [name, httpOnly]);
	if (!own) {
		assert.match(inScript, /lr_/);
		assert.deepEqual(cookies, []);
		return ok('the refresh token is in sessionStorage');
	}
	assert.doesNotMatch(inScript, /lr_|eyJ/);
	assert.deepEqual(cookies, [['__Host-latchkey', true]]);
	const other = await context.newPage();
	await other.goto(url);
	await other.locator('#viewer').getByText('admin', { exact: true }).waitFor();
	await other.close();
	ok('the refresh token is in a cookie that no script reads, and another tab uses it');
}

// leaveEditor goes by keyboard into the editor and out of it.
async function leaveEditor() {
	const inEditor = () => page.evaluate(() => document.activeElement.closest('.CodeMirror') !== null);
	await page.getByLabel('Password').focus();
	for (let n = 0; n < 30 && !(await inEditor()); n++) await page.keyboard.press('Tab');
	assert.ok(await inEditor(), 'Tab does not reach the editor');
	assert.ok(await page.getByText('Escape, then Tab leaves the editor', { exact: true }).isVisible());
	await page.keyboard.press('Escape');
	await page.keyboard.press('Shift+Tab');
	assert.ok(!(await inEditor()), 'Escape and Shift+Tab do not leave the editor');
	await page.keyboard.press('Tab');
	assert.ok(await inEditor());
	await page.keyboard.press('Escape');
	await page.keyboard.press('Tab');
	assert.ok(!(await inEditor()), 'Escape and Tab do not leave the editor');
	assert.match(await content('query'), /^# Log in above/, 'the text has changed');
	ok('Escape, then Tab leaves the editor');
}

// showAccess reads who has access in the list of fields of the documentation.
async function showAccess() {
	await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
	await page.locator('.graphiql-doc-explorer-type-name', { hasText: 'Query' }).click();
	const users = page.locator('.graphiql-doc-explorer-item', { has: page.getByRole('link', { name: 'users', exact: true }) });
	await users.getByText('Access: the scope users:read.').waitFor();
	await page.locator('.graphiql-doc-explorer-item').getByText('All users, oldest first.').waitFor();
	await page.getByRole('button', { name: 'Hide Documentation Explorer' }).click();
	ok('the list of fields shows what each requires');
}

// refreshInTime turns the clock of the page to shortly before the access token expires.
async function refreshInTime() {
	const refreshed = page.waitForResponse(async (response) => (response.request().postData() ?? '').includes('mutation Refresh'));
	await page.evaluate(() => {
		const now = Date.now;
		Date.now = () => now() + 9.7 * 60 * 1000;
	});
	const { data } = await (await refreshed).json();
	assert.ok(data.refresh.accessToken);
	await page.reload(); // with the right clock
	await page.locator('#viewer').getByText('admin', { exact: true }).waitFor();
	ok('the token is refreshed before it expires');
}

// replaceToken puts another token into the headers of a tab.
async function replaceToken(token) {
	await openTab('Me');
	await page.getByRole('button', { name: 'Headers' }).click();
	await type('headers', JSON.stringify({ authorization: `Bearer ${token}x` }));
	const { errors } = await run();
	assert.equal(errors?.[0]?.extensions?.code, 'UNAUTHENTICATED');
	await type('headers', '');
	ok('the header of a tab takes the place of the session');
}

async function fitTelephones() {
	await page.setViewportSize({ width: 390, height: 844 });
	const width = await page.evaluate(() => document.getElementById('bar').scrollWidth);
	assert.ok(width <= 390, `the bar is ${width} pixels wide`);
	await page.setViewportSize({ width: 1280, height: 800 });
	ok('the bar fits a telephone');
}

async function logOut() {
	const [response] = await Promise.all([posted(), page.getByRole('button', { name: 'Log out' }).click()]);
	assert.equal((await response.json()).data.logout.endedSessions, 1);
	await page.getByLabel('User').waitFor();
	await refuseAnonymous();
	ok('log-out ends the session');
}

// keepNoSecrets looks at what the browser keeps: nothing once the tab is closed,
// and no token after the log-out.
async function keepNoSecrets(token) {
	await page.waitForTimeout(1000); // GraphiQL stores half a second late
	assert.equal(await stored('localStorage'), '{}');
	assert.match(await stored('sessionStorage'), /graphiql:/);
	const kept = await stored('sessionStorage');
	assert.ok(!kept.includes(token) && !kept.includes('lr_'), 'the browser keeps a token');
	ok('the browser keeps no token, and nothing once the tab is closed');
}

// logInWithSecondFactor gives admin an authenticator app, logs in with a recovery code, and removes the app again.
async function logInWithSecondFactor() {
	const { login } = await api('mutation($p: String!) { login(input: {username: "admin", password: $p}) { accessToken } }', { p: password });
	const { startTotp } = await api('mutation { startTotp { secret } }', {}, login.accessToken);
	const { confirmTotp } = await api('mutation($c: String!) { confirmTotp(input: {code: $c}) { factor { id } recoveryCodes } }', { c: oneTimePassword(startTotp.secret) }, login.accessToken);
	try {
		const code = page.getByLabel('Code');
		assert.ok(!(await code.isVisible()), 'a code is asked for before it is needed');
		await submit(password);
		await page.getByRole('alert').getByText('authenticator app').waitFor();
		await code.fill('000000-wrong');
		await page.getByRole('button', { name: 'Log in' }).click();
		await page.getByRole('alert').getByText('the code is wrong').waitFor();
		await code.fill(confirmTotp.recoveryCodes[0]);
		await page.getByRole('button', { name: 'Log in' }).click();
		await page.locator('#viewer').getByText('admin', { exact: true }).waitFor();
	} finally {
		await api('mutation($id: ID!) { removeFactor(input: {id: $id}) { factor { id } } }', { id: confirmTotp.factor.id }, login.accessToken);
	}
	await logOut();
	assert.ok(!(await page.getByLabel('Code').isVisible()), 'the field for a code stays');
	ok('the bar asks for a code of the second factor');
}

// api asks the server without the page.
async function api(query, variables, token) {
	const headers = { 'Content-Type': 'application/json' };
	if (token) headers.Authorization = `Bearer ${token}`;
	const response = await fetch(new URL('graphql', url), { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
	const { data, errors } = await response.json();
	assert.ok(!errors, JSON.stringify(errors));
	return data;
}

// oneTimePassword is what an authenticator app shows now (RFC 6238).
function oneTimePassword(secret) {
	const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
	const bits = [...secret].map((letter) => letters.indexOf(letter).toString(2).padStart(5, '0')).join('');
	const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
	const step = Buffer.alloc(8);
	step.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
	const mac = createHmac('sha1', key).update(step).digest();
	return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

// stored returns one of the browser's stores as text.
function stored(name) {
	return page.evaluate((store) => JSON.stringify({ ...window[store] }), name);
}

// openTab shows the tab of an operation. Tabs take the name of what they run.
async function openTab(name) {
	await page.locator(`.graphiql-tab-button[title="${name}"]`).click();
	await page.locator('.graphiql-tab-active', { hasText: name }).waitFor();
	await page.waitForTimeout(500); // GraphiQL takes note a little late
}

// editor finds one of the editors of the page.
function editor(name) {
	return page.locator({
		query: '.graphiql-query-editor .CodeMirror',
		headers: '.graphiql-editor-tool .graphiql-editor:not(.hidden) .CodeMirror',
		result: '.result-window .CodeMirror',
	}[name]);
}

// content returns all of the text of an editor, also where it is scrolled away.
function content(name) {
	return editor(name).evaluate((element) => element.CodeMirror.getValue());
}

// type replaces the text of an editor.
async function type(name, text) {
	await editor(name).click();
	await page.keyboard.press('ControlOrMeta+a');
	await page.keyboard.press('Delete');
	if (text) await page.keyboard.insertText(text);
	assert.equal(await content(name), text);
	await page.waitForTimeout(500); // GraphiQL takes note a little late
}

// run presses the button and returns the answer that the page then shows.
async function run() {
	const button = page.getByRole('button', { name: /^Execute query/ });
	const [response] = await Promise.all([posted(), button.click()]);
	const answer = JSON.stringify(await response.json(), null, 2);
	await page.waitForFunction(
		(text) => document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue() === text,
		answer,
	);
	return JSON.parse(await content('result'));
}

// posted waits for the next answer to a POST.
function posted() {
	return page.waitForResponse((response) => response.request().method() === 'POST');
}

function ok(what) {
	console.log(`ok: ${what}`);
}
