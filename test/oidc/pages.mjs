// Logs in by a certified OpenID provider on the server's own pages, in Chromium: signs up, comes back to where the user was,
// gives a second factor, links and unlinks; and what the pages refuse.
//
// Usage: node pages.mjs LATCHKEY_URL PROVIDER_URL [FOLDER]
//
// FOLDER gets screenshots. CHROMIUM names the browser, by default /usr/bin/chromium. The exit code is 0 if all went well.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { totp } from '../browser/totp.mjs';

const [latchkey, issuer, folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const at = (path) => `${latchkey}/account/${path}`;
const faults = []; // what must not happen
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync',
	],
});

try {
	await signUp();
	await refuse();
	await protect();
	await comeBack();
	await secondFactor();
	await link();
	await looksWell();
	assert.deepEqual(faults, []);
	ok('nothing was blocked, broken or loaded from elsewhere, and no page was told the code');
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	for (const fault of faults) console.error(`fault: ${fault}`);
	process.exitCode = 1;
} finally {
	await browser.close();
}

// openBrowser returns a page in a profile of its own. Pages of the provider load fonts from elsewhere, which is prevented.
async function openBrowser() {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB' });
	await context.route((url) => ![latchkey, issuer].includes(url.origin), (route) => route.abort());
	const page = await context.newPage();
	page.setDefaultTimeout(15_000);
	page.on('pageerror', (error) => faults.push(error.message));
	page.on('console', (entry) => { if (entry.type() === 'error' && entry.location().url.startsWith(latchkey)) faults.push(entry.text()); });
	page.on('request', (request) => {
		const { referer } = request.headers();
		if (referer?.includes('code=') || referer?.includes('/account/')) faults.push(`${request.url()} was told ${referer}`);
		if (request.frame().url().startsWith(latchkey) && ![latchkey, issuer].includes(new URL(request.url()).origin)) faults.push(`request to ${request.url()}`);
	});
	return page;
}

// atProvider logs in at the provider as a user, and consents if that is asked.
async function atProvider(page, login) {
	await page.waitForURL((url) => url.origin === issuer);
	await page.locator('input[name=login]').fill(login);
	await page.locator('input[name=password]').fill('any');
	await page.locator('button[type=submit]').click();
	await page.waitForFunction((origin) => location.origin === origin || document.querySelector('input[name=prompt][value=consent]'), latchkey);
	if (page.url().startsWith(issuer)) await page.locator('button[type=submit]').click();
	await page.waitForURL((url) => url.origin === latchkey);
}

// logIn logs in on a page that asks for it.
async function logIn(page, login) {
	await page.getByRole('button', { name: 'Log in with Acme' }).click();
	await atProvider(page, login);
}

// home waits for the page of a user's account, and alert for a message.
function home(page, name) {
	return page.locator('dd').getByText(name, { exact: true }).waitFor();
}

function alert(page, text) {
	return page.getByRole('alert').getByText(text).waitFor();
}

async function signUp() {
	for (const start of ['register', 'login']) {
		const page = await openBrowser();
		await page.goto(at(start));
		await logIn(page, 'carol');
		await home(page, 'carol');
		assert.equal(page.url(), at(''));
		await page.reload();
		await home(page, 'carol');
		const stored = await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage }));
		assert.ok(!stored.includes('verifier'), stored);
		await page.goBack();
		assert.ok(page.url().startsWith(issuer), page.url()); // the page with the code is not in the history
	}
	ok('a user signs up on the page to register, and logs in again on that to log in');
}

// refuse tries what does not log in: declining, and an account at the provider whose address another account here has.
async function refuse() {
	const page = await openBrowser();
	await page.goto(at('login'));
	await page.getByRole('button', { name: 'Log in with Acme' }).click();
	await page.locator('a[href$="/abort"]').click();
	await alert(page, 'You or Acme have declined.');
	assert.equal(page.url(), at('callback'));
	await page.getByRole('link', { name: 'Log in' }).click();
	await logIn(page, 'carol-2');
	await alert(page, 'There is an account with this e-mail address. Log in to it as before, and link Acme');
	assert.equal(page.url(), at('callback'));
	if (folder) await page.screenshot({ path: join(folder, 'account-callback.png') });
	await page.reload();
	await alert(page, 'was not started in this tab, or was completed before');
	ok('who declines, or is not linked, is told what to do');
}

// protect opens a redirect that is meant for another browser, and one with parameters of an attacker.
async function protect() {
	const [attacker, victim] = [await openBrowser(), await openBrowser()];
	await attacker.goto(at('login'));
	await attacker.getByRole('button', { name: 'Log in with Acme' }).click();
	await attacker.waitForURL((url) => url.origin === issuer);
	const scripts = '**/account/*.js?*';
	await attacker.route(scripts, (route) => route.fulfill({ contentType: 'text/javascript', body: '' })); // so that the page does nothing
	await atProvider(attacker, 'mallory');
	const redirect = attacker.url();
	assert.match(redirect, /code=/);
	await victim.goto(redirect);
	await alert(victim, 'was not started in this tab');
	assert.equal(victim.url(), at('callback'));
	await victim.goto(at(''));
	await victim.getByRole('button', { name: 'Log in', exact: true }).waitFor(); // nobody is logged in
	await victim.goto(at('login'));
	await victim.evaluate(() => sessionStorage.setItem('latchkey:providerLogin', JSON.stringify({ state: 'mine', verifier: 'x', label: 'Acme', back: '' })));
	await victim.goto(redirect);
	await alert(victim, 'was not started in this tab'); // but another log-in was
	for (const parameter of ['next', 'return', 'back', 'redirect_uri', 'error_uri', 'url']) {
		await victim.goto(`${at('callback')}?${parameter}=${encodeURIComponent('https://evil.example/')}&error_description=call+0900`);
		await alert(victim, 'was not started in this tab');
		assert.equal(victim.url(), at('callback'));
		assert.ok(!(await victim.locator('body').innerText()).includes('0900'));
	}
	await attacker.unroute(scripts);
	await attacker.goto(redirect);
	await home(attacker, 'mallory');
	ok("another browser's redirect logs in nobody, uses nothing up, and no parameter leads elsewhere");
}

// comeBack begins at the link of a mail, where a user must log in: the link's token is not lost on the way.
async function comeBack() {
	const page = await openBrowser();
	await page.goto(at('verify-email#ll_x'));
	await logIn(page, 'carol');
	await page.getByRole('button', { name: 'Confirm the address' }).waitFor();
	assert.equal(page.url(), at('verify-email'));
	ok('a log-in leads back to the page that needed it');
}

async function secondFactor() {
	const page = await openBrowser();
	await page.goto(at('login'));
	await logIn(page, 'dave');
	await page.getByRole('button', { name: 'Add an authenticator app' }).click();
	const secret = await page.locator('code').innerText();
	await page.getByLabel('Code').fill(totp(secret));
	await page.getByRole('button', { name: 'Confirm' }).click();
	const codes = (await page.locator('#recovery-codes').innerText()).split('\n');
	await page.getByRole('button', { name: 'I have stored them' }).click();
	await page.getByRole('button', { name: 'Log out' }).click();
	await page.waitForURL(at('login'));
	await page.context().clearCookies(); // the session at the provider
	await logIn(page, 'dave');
	await page.getByLabel('Code').fill('WRONG');
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await alert(page, 'code is wrong');
	await page.getByLabel('Code').fill(codes[0]);
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByText('Recovery codes left: 9.').waitFor();
	ok('a second factor is asked for after the provider');
}

async function link() {
	const page = await openBrowser();
	await page.goto(at('login'));
	await logIn(page, 'carol');
	await page.getByRole('button', { name: 'Unlink Acme (carol@example.com)' }).click();
	await alert(page, 'This is the last way to log in');
	await page.context().clearCookies();
	await page.getByRole('button', { name: 'Link Acme', exact: true }).click();
	await atProvider(page, 'carol-2');
	const unlink = page.getByRole('button', { name: 'Unlink Acme (carol@example.com)' });
	await unlink.nth(1).waitFor();
	if (folder) await page.screenshot({ path: join(folder, 'account-identities.png'), fullPage: true });
	await page.context().clearCookies();
	await page.getByRole('button', { name: 'Link Acme', exact: true }).click();
	await atProvider(page, 'dave');
	await alert(page, 'is linked already, here or to another user');
	await page.getByRole('link', { name: 'Your account' }).last().click();
	await unlink.nth(1).click();
	await page.waitForFunction(() => [...document.querySelectorAll('button')].filter((b) => b.textContent.startsWith('Unlink')).length === 1);
	ok('a user links another account at the provider, and unlinks it');
}

// looksWell visits the pages with buttons of providers on a telephone and a desktop, by day and by night: they must fit, and
// pass axe-core's rules of WCAG 2.2, level AA.
async function looksWell() {
	const page = await openBrowser();
	for (const colorScheme of ['light', 'dark']) {
		await page.emulateMedia({ colorScheme });
		for (const width of [1280, 390]) {
			await page.setViewportSize({ width, height: 844 });
			for (const [name, last] of [['login', 'Log in with Acme'], ['register', 'Log in with Acme'], ['callback?error=x', 'Log in']]) {
				await page.goto(at(name));
				await page.locator('#form').getByText(last, { exact: true }).last().waitFor();
				const scrolled = await page.evaluate(() => document.scrollingElement.scrollWidth);
				assert.ok(scrolled <= width, `${name} is ${scrolled} pixels wide, of ${width}`);
				const found = await page.evaluate(`(() => { ${axe}; return axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }) })()`);
				assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], `${name}, ${colorScheme}, ${width}`);
				if (folder) await page.screenshot({ path: join(folder, `account-${name.slice(0, 8)}-provider-${width}-${colorScheme}.png`) });
			}
		}
	}
	ok('the pages fit 390 and 1280 pixels, and pass axe-core in light and dark');
}

function ok(what) {
	console.log(`ok: ${what}`);
}
