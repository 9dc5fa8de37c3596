// Logs in to a running Latchkey as its users do: on the GraphiQL page, in a real
// browser, by typing, clicking and reading.
//
// Usage: node graphiql.mjs URL PASSWORD [SCREENSHOT.png]
//
// URL is the address of the page and PASSWORD that of the user admin. CHROMIUM
// names the browser, by default /usr/bin/chromium. The exit code is 0 if all went
// well and nothing on the page was blocked, broken or loaded from elsewhere.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [url, password, screenshot] = process.argv.slice(2);
if (!url || password === undefined) {
	console.error('usage: node graphiql.mjs URL PASSWORD [SCREENSHOT.png]');
	process.exit(2);
}

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
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(15_000);

// What must not happen, in the order in which it did.
const faults = [];

try {
	await watch();
	await openPage();
	await refuseStranger();
	const token = await logIn();
	await showOwner(token);
	await keepNoSecrets(token);
	assert.equal(faults.length, 0, 'the page has faults');
	ok('nothing was blocked, broken or loaded from elsewhere');
} catch (error) {
	console.error(`FAILED: ${error.message}`);
	for (const fault of faults) console.error(`fault: ${fault}`);
	process.exitCode = 1;
} finally {
	if (screenshot) await page.screenshot({ path: screenshot });
	await browser.close();
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
	page.on('websocket', (socket) => faults.push(`socket: ${socket.url()}`));
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
	assert.match(await content('query'), /mutation LogIn/);
	ok('the page opens, with the login filled in');
}

// refuseStranger asks who is logged in, while nobody is.
async function refuseStranger() {
	await openTab('Me');
	assert.match(await content('headers'), /PASTE_ACCESS_TOKEN_HERE/);
	await type('headers', '');
	const { data, errors } = await run();
	assert.equal(data?.me ?? null, null);
	assert.equal(errors?.[0]?.extensions?.code, 'UNAUTHENTICATED');
	ok('without a token, me is UNAUTHENTICATED');
}

// logIn puts the password between the quotes and returns the access token.
async function logIn() {
	await openTab('LogIn');
	const query = await content('query');
	assert.ok(query.includes('password: ""'), 'the login has no place for the password');
	await type('query', query.replace('password: ""', () => `password: ${JSON.stringify(password)}`));
	const { data, errors } = await run();
	assert.ok(!errors, `the login failed: ${JSON.stringify(errors)}`);
	assert.equal(data.login.user.username, 'admin');
	assert.equal(typeof data.login.accessToken, 'string');
	ok('the login returns an access token');
	return data.login.accessToken;
}

// showOwner asks again who is logged in, with the token in the headers.
async function showOwner(token) {
	await openTab('Me');
	await type('query', '{ me { id username } }');
	await type('headers', JSON.stringify({ Authorization: `Bearer ${token}` }));
	const { data, errors } = await run();
	assert.ok(!errors, `me failed: ${JSON.stringify(errors)}`);
	assert.equal(data.me.username, 'admin');
	assert.ok(data.me.id);
	ok('with the token, me is admin');
}

// keepNoSecrets looks at what the browser keeps: nothing once the tab is closed,
// and no token before that.
async function keepNoSecrets(token) {
	await page.waitForTimeout(1000); // GraphiQL stores half a second late
	assert.equal(await stored('localStorage'), '{}');
	assert.match(await stored('sessionStorage'), /graphiql:/);
	assert.ok(!(await stored('sessionStorage')).includes(token), 'the browser keeps the token');
	ok('the browser keeps no token, and nothing once the tab is closed');
}

// stored returns one of the browser's stores as text.
function stored(name) {
	return page.evaluate((store) => JSON.stringify({ ...window[store] }), name);
}

// openTab shows the tab of an operation. Tabs take the name of what they run.
async function openTab(name) {
	await page.locator(`.graphiql-tab-button[title="${name}"]`).click();
	await page.locator('.graphiql-tab-active', { hasText: name }).waitFor();
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
