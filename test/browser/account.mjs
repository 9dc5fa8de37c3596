// Uses the pages of an account in a real browser, against a Latchkey of its own, which writes mail to its log: registers,
// logs in, changes the address and undoes it, resets the password, takes the data, uses passkeys and an authenticator app,
// deletes the account.
//
// Usage: node account.mjs [FOLDER]
//
// FOLDER gets screenshots. CHROMIUM names the browser, by default /usr/bin/chromium. The exit code is 0 if all went well.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { totp } from './totp.mjs';

const [folder] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const linkIn = (text) => /https?:\/\/\S+#\S+/.exec(text)[0];
const at = (path) => `${server.url}/account/${path}`;
const faults = []; // what must not happen
const server = await startServer();
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: [
		'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
		'--disable-component-update', '--disable-sync',
	],
});

try {
	const page = await openBrowser();
	await register(page);
	await logOutAndIn(page);
	await logInByCode(page);
	await changeAddress(page);
	await undoChange(page);
	await resetPassword(page);
	await takeData(page);
	await usePasskeys(page);
	await addSecondFactor(page);
	await deleteAccount(page);
	await looksWell(page);
	assert.deepEqual(faults, []);
	ok('nothing was blocked, broken or loaded from elsewhere');
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	for (const fault of faults) console.error(`fault: ${fault}`);
	process.exitCode = 1;
} finally {
	await browser.close();
	await server.stop();
}

// startServer builds and starts Latchkey. Its mails are those in the log.
async function startServer() {
	const home = mkdtempSync(join(tmpdir(), 'latchkey-account-'));
	const binary = process.env.LATCHKEY_TEST_BINARY ?? join(home, 'latchkey');
	if (!process.env.LATCHKEY_TEST_BINARY) execFileSync('go', ['build', '-o', binary, '.'], { cwd: new URL('../..', import.meta.url).pathname });
	const port = await freePort();
	const url = `http://localhost:${port}`; // where browsers allow passkeys without HTTPS
	const env = {
		PATH: process.env.PATH, LATCHKEY_ADDR: `127.0.0.1:${port}`, LATCHKEY_ISSUER: url, LATCHKEY_LOG_FORMAT: 'json', LATCHKEY_REGISTRATION: 'open',
		LATCHKEY_SELF_SERVICE: 'password-reset,change-email,email-login,export,delete',
	};
	const child = spawn(binary, ['serve'], { cwd: home, env, stdio: ['ignore', 'pipe', 'pipe'] });
	process.on('exit', () => child.kill());
	const mails = [];
	createInterface(child.stderr).on('line', (line) => {
		const entry = line.startsWith('{') ? JSON.parse(line) : {};
		if (entry.msg === 'mail, which is only logged') mails.push(entry);
		if (entry.level === 'ERROR') faults.push(line);
	});
	let started = false;
	for await (const line of createInterface(child.stdout)) {
		started = line.includes('{ me { id username } }'); // the last line of the greeting
		if (started) break;
	}
	assert.ok(started, 'the server did not start');
	const ended = new Promise((resolve) => child.on('exit', resolve));
	return {
		url,
		// mail waits for the next mail to an address, and returns its text.
		async mail(to) {
			for (let tries = 0; tries < 300; tries++) {
				const at = mails.findIndex((mail) => mail.to === to);
				if (at >= 0) return mails.splice(at, 1)[0].text;
				await sleep(50);
			}
			throw new Error(`no mail to ${to}`);
		},
		async stop() {
			child.kill('SIGTERM');
			await ended;
			rmSync(home, { recursive: true });
		},
	};
}

async function freePort() {
	const probe = createServer().listen(0, '127.0.0.1');
	await once(probe, 'listening');
	const { port } = probe.address();
	probe.close();
	await once(probe, 'close');
	return port;
}

async function openBrowser() {
	const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', acceptDownloads: true });
	const page = await context.newPage();
	page.setDefaultTimeout(15_000);
	page.on('pageerror', (error) => faults.push(error.message));
	page.on('console', (entry) => { if (entry.type() === 'error') faults.push(entry.text()); });
	page.on('request', (request) => { if (!request.url().startsWith(server.url) && !request.url().startsWith('blob:')) faults.push(`request to ${request.url()}`); });
	return page;
}

// follow opens the link of a mail: the token must be gone from the address bar, and not be used up by opening the page.
async function follow(page, text) {
	await page.goto('about:blank');
	await page.goto(linkIn(text));
	await page.waitForFunction(() => !location.hash);
	assert.ok(!page.url().includes('ll_'), page.url());
	await page.reload();
	await page.goto('about:blank');
	await page.goto(linkIn(text));
}

async function register(page) {
	await page.goto(at('login'));
	await page.getByRole('link', { name: 'Register' }).click();
	await page.getByLabel('E-mail address', { exact: true }).fill('ann@example.org');
	await page.keyboard.press('Enter');
	await page.getByText('Open the link that was sent to ann@example.org.').waitFor();
	await follow(page, await server.mail('ann@example.org'));
	await page.getByLabel('User name').fill('admin');
	await page.getByLabel('Password').fill('a good long password');
	await page.getByRole('button', { name: 'Create the account' }).click();
	await page.getByRole('alert').getByText('This username is in use.').waitFor();
	await page.getByLabel('User name').fill('ann');
	await page.getByRole('button', { name: 'Create the account' }).click();
	await page.getByRole('heading', { name: 'Your account' }).waitFor();
	await page.getByText('ann@example.org').waitFor();
	ok('registers by a link, which survives a reload and a taken name');
}

async function logIn(page, password) {
	await page.goto(at('login'));
	await page.getByLabel('User name').fill('ann@example.org');
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByRole('heading', { name: 'Your account' }).waitFor();
}

async function logOutAndIn(page) {
	await page.getByRole('button', { name: 'Log out' }).click();
	await page.waitForURL(at('login'));
	await page.getByLabel('User name').fill('ann');
	await page.getByLabel('Password').fill('a wrong password');
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByRole('alert').getByText('The user name or the password is wrong.').waitFor();
	await logIn(page, 'a good long password');
	ok('logs out and in, and says what is wrong');
}

async function logInByCode(page) {
	await page.getByRole('button', { name: 'Log out' }).click();
	await page.waitForURL(at('login'));
	await page.getByText('Log in by e-mail').click();
	await page.getByLabel('E-mail address', { exact: true }).fill('ann@example.org');
	await page.getByRole('button', { name: 'Send me a code' }).click();
	await page.getByLabel('Code').waitFor();
	const code = /^[B-Z]{8}$/m.exec(await server.mail('ann@example.org'))[0];
	await page.getByLabel('Code').fill(code.toLowerCase());
	await page.getByRole('button', { name: 'Log in' }).click();
	await page.getByRole('heading', { name: 'Your account' }).waitFor();
	ok('logs in by a code from a mail');
}

async function changeAddress(page) {
	await page.getByLabel('E-mail address', { exact: true }).fill('ann@new.example');
	await page.getByRole('button', { name: 'Send a link to the new address' }).click();
	await page.getByText('Open the link that was sent to ann@new.example').waitFor();
	await follow(page, await server.mail('ann@new.example'));
	await page.getByRole('button', { name: 'Confirm the address' }).click();
	await page.getByText('ann@new.example is the address of your account.').waitFor();
	ok('changes the address by a link to the new one');
}

async function undoChange(page) {
	await follow(page, await server.mail('ann@example.org'));
	await page.getByRole('button', { name: 'Restore my address' }).click();
	await page.getByText('Your address was restored.').waitFor();
	ok('restores the address by the link to the old one');
}

async function resetPassword(page) {
	await follow(page, await server.mail('ann@example.org'));
	await page.getByLabel('Password').fill('short');
	await page.getByRole('button', { name: 'Set the password' }).click();
	await page.getByRole('alert').getByText('at least 8 characters').waitFor();
	await page.getByLabel('Password').fill('another good password');
	await page.getByRole('button', { name: 'Set the password' }).click();
	await page.getByText('all sessions have ended').waitFor();
	assert.match(await server.mail('ann@example.org'), /was changed on/);
	await page.getByRole('link', { name: 'Log in' }).click();
	await logIn(page, 'another good password');
	ok('sets a new password by a link');
}

async function takeData(page) {
	const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
	const data = JSON.parse(readFileSync(await download.path(), 'utf8'));
	assert.equal(data.user.username, 'ann');
	assert.ok(data.securityEvents.length > 3);
	ok('downloads the data');
}

// usePasskeys adds a passkey of a telephone, in software, and logs in by it: after the password, and alone.
async function usePasskeys(page) {
	const cdp = await page.context().newCDPSession(page);
	await cdp.send('WebAuthn.enable');
	const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
		options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
	});
	await page.getByRole('button', { name: 'Add a passkey' }).click();
	assert.equal((await page.locator('#recovery-codes').innerText()).split('\n').length, 10);
	await page.getByRole('button', { name: 'I have stored them' }).click();
	await page.getByRole('button', { name: 'Remove Passkey of' }).waitFor();
	assert.match(await server.mail('ann@example.org'), /second factor was added/);
	const { credentials } = await cdp.send('WebAuthn.getCredentials', { authenticatorId });
	assert.deepEqual(credentials.map(({ rpId, isResidentCredential }) => [rpId, isResidentCredential]), [['localhost', true]]);

	// The authenticator answers at once. While it verifies no user, it answers only what needs a touch, so not the suggestion.
	const verify = (isUserVerified) => cdp.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified });
	const logOut = async () => {
		await page.getByRole('button', { name: 'Log out' }).click();
		await page.waitForURL(at('login'));
	};
	await verify(false);
	await logOut();
	await page.getByLabel('User name').fill('ann');
	await page.getByLabel('Password').fill('another good password');
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByRole('button', { name: 'Use a passkey' }).waitFor();
	await isAccessible(page, 'the second factor');
	if (folder) await page.screenshot({ path: join(folder, 'account-passkey.png') });
	await page.getByRole('button', { name: 'Use a passkey' }).click();
	await page.getByRole('heading', { name: 'Your account' }).waitFor();
	await isAccessible(page, 'the account');

	await logOut();
	await page.getByRole('button', { name: 'Log in with a passkey' }).click();
	await page.getByRole('alert').getByText('No passkey was used.').waitFor();
	await verify(true);
	await page.getByRole('button', { name: 'Log in with a passkey' }).click();
	await page.getByRole('heading', { name: 'Your account' }).waitFor();

	await logOut();
	await page.getByRole('heading', { name: 'Your account' }).waitFor(); // the browser suggests the passkey, and it answers
	await page.getByRole('button', { name: 'Remove Passkey of' }).click();
	await page.getByRole('button', { name: 'Remove Passkey of' }).waitFor({ state: 'detached' });
	assert.match(await server.mail('ann@example.org'), /second factor was removed/);
	await cdp.send('WebAuthn.removeVirtualAuthenticator', { authenticatorId });
	ok('adds a passkey, logs in by it after the password, by a button and by a suggestion, and removes it');
}

async function addSecondFactor(page) {
	await page.getByRole('button', { name: 'Add an authenticator app' }).click();
	assert.ok(await page.getByAltText('QR code of the secret').evaluate((image) => image.decode().then(() => image.naturalWidth > 20)));
	const secret = await page.locator('code').innerText();
	if (folder) await page.screenshot({ path: join(folder, 'account-second-factor.png') });
	await page.getByLabel('Code').fill('000000');
	await page.getByRole('button', { name: 'Confirm' }).click();
	await page.getByRole('alert').getByText('code is wrong').waitFor();
	await page.getByLabel('Code').fill(totp(secret));
	await page.getByRole('button', { name: 'Confirm' }).click();
	const codes = (await page.locator('#recovery-codes').innerText()).split('\n');
	assert.equal(codes.length, 10);
	await page.getByRole('button', { name: 'I have stored them' }).click();
	await page.getByText('Recovery codes left: 10.').waitFor();
	assert.match(await server.mail('ann@example.org'), /second factor was added/);
	await page.getByRole('button', { name: 'Log out' }).click();
	await page.waitForURL(at('login'));
	await page.getByLabel('User name').fill('ann');
	await page.getByLabel('Password').fill('another good password');
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByLabel('Code').fill(codes[0]);
	await page.getByRole('button', { name: 'Log in', exact: true }).click();
	await page.getByText('Recovery codes left: 9.').waitFor();
	ok('adds an authenticator app, and logs in with a recovery code');
}

async function deleteAccount(page) {
	await page.getByRole('button', { name: 'Delete my account' }).click();
	await page.getByRole('alert').getByText('Confirm by the checkbox.').waitFor();
	await page.getByLabel('I want to delete my account').check();
	await page.getByRole('button', { name: 'Delete my account' }).click();
	await page.getByText('The account was deleted.').waitFor();
	assert.match(await server.mail('ann@example.org'), /was deleted/);
	ok('deletes the account');
}

// looksWell visits each page on a telephone by night and on a desktop by day: it must fit, and pass axe-core's rules of WCAG
// 2.2, level AA.
async function looksWell(page) {
	for (const [width, height, colorScheme] of [[390, 844, 'dark'], [1280, 800, 'light']]) {
		await page.emulateMedia({ colorScheme });
		await page.setViewportSize({ width, height });
		for (const name of ['login', 'register', 'register#ll_x', 'reset-password', 'reset-password#ll_x', 'verify-email#ll_x', 'undo-email-change#ll_x']) {
			await page.goto('about:blank');
			await page.goto(at(name));
			await page.locator('#form button').first().waitFor();
			const scrolled = await page.evaluate(() => document.scrollingElement.scrollWidth);
			assert.ok(scrolled <= width, `${name} is ${scrolled} pixels wide, of ${width}`);
			await isAccessible(page, `${name}, ${colorScheme}, ${width}`);
			if (folder) await page.screenshot({ path: join(folder, `account-${name.replace('#ll_x', '-link')}-${width}-${colorScheme}.png`) });
		}
	}
	ok('the pages fit 390 and 1280 pixels, and pass axe-core in light and dark');
}

async function isAccessible(page, what) {
	const found = await page.evaluate(`(() => { ${axe}; return axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa'] }) })()`);
	assert.deepEqual(found.violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], what);
}

function ok(what) {
	console.log(`ok: ${what}`);
}
