// Firefox by WebDriver BiDi and WebKitGTK by WebDriver, each as { open(url) → tab, close() }. A tab has evaluate(expression),
// which waits for promises and returns what JSON can carry, and reload().

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';

const MINI_BROWSERS = ['webkit2gtk-4.1', 'webkit2gtk-4.0', 'webkitgtk-6.0'].map((name) => `/usr/lib/x86_64-linux-gnu/${name}/MiniBrowser`);

// The drivers by name, and whether their programs are installed.
export const drivers = {
	Firefox: { start: startFirefox, installed: existsSync('/usr/bin/firefox-esr'), packages: 'firefox-esr' },
	WebKit: {
		start: startWebKit,
		installed: existsSync('/usr/bin/WebKitWebDriver') && existsSync('/usr/bin/Xvfb') && MINI_BROWSERS.some(existsSync),
		packages: 'webkit2gtk-driver xvfb',
	},
};

// startProgram returns what ends the program again, with its folder of scratch data.
function startProgram(program, args, options) {
	const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, ...options });
	const ended = new Promise((resolve) => child.on('exit', resolve));
	return {
		child,
		async stop() {
			process.kill(-child.pid, 'SIGKILL'); // its group: browsers are several processes
			await ended;
		},
	};
}

async function startFirefox() {
	const profile = mkdtempSync(join(tmpdir(), 'latchkey-firefox-'));
	const args = ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0', 'about:blank'];
	const firefox = startProgram('firefox-esr', args);
	let address;
	for await (const line of createInterface(firefox.child.stderr)) {
		if ((address = /WebDriver BiDi listening on (\S+)/.exec(line)?.[1])) break;
	}
	firefox.child.stderr.resume();
	const socket = new WebSocket(`${address}/session`);
	await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
	const waiting = [];
	socket.on('message', (text) => {
		const { id, type, result, message } = JSON.parse(text);
		if (type === 'error') waiting[id].reject(new Error(message));
		else waiting[id]?.resolve(result);
	});
	const call = (method, params = {}) => new Promise((resolve, reject) => {
		const id = waiting.push({ resolve, reject }) - 1;
		socket.send(JSON.stringify({ id, method, params }));
	});
	await call('session.new', { capabilities: {} });
	return {
		async open(url) {
			const { context } = await call('browsingContext.create', { type: 'tab' });
			await call('browsingContext.navigate', { context, url, wait: 'complete' });
			return {
				reload: () => call('browsingContext.reload', { context, wait: 'complete' }),
				async evaluate(expression) {
					const json = `(async () => JSON.stringify(await (${expression})))()`;
					const { result, exceptionDetails } = await call('script.evaluate', { expression: json, target: { context }, awaitPromise: true });
					if (exceptionDetails) throw new Error(exceptionDetails.text);
					return result.value && JSON.parse(result.value);
				},
			};
		},
		async close() {
			socket.close();
			await firefox.stop();
			rmSync(profile, { recursive: true, maxRetries: 5 });
		},
	};
}

async function startWebKit() {
	const home = mkdtempSync(join(tmpdir(), 'latchkey-webkit-'));
	const xvfb = ['-displayfd', '1', '-screen', '0', '1280x800x24', '-nolisten', 'tcp'];
	const display = startProgram('Xvfb', xvfb, { stdio: ['ignore', 'pipe', 'ignore'] });
	const { value: number } = await createInterface(display.child.stdout)[Symbol.asyncIterator]().next();
	const port = 20_000 + (process.pid % 20_000);
	const env = { PATH: process.env.PATH, HOME: home, DISPLAY: `:${number}`, XDG_RUNTIME_DIR: home };
	const driver = startProgram('WebKitWebDriver', ['--host=127.0.0.1', `--port=${port}`], { env, stdio: 'ignore' });
	const call = async (method, path, body) => {
		const options = { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) };
		const { value } = await (await fetch(`http://127.0.0.1:${port}${path}`, options)).json();
		if (value?.error) throw new Error(`${value.error}: ${value.message}`);
		return value;
	};
	for (let n = 0; n < 100 && !(await call('GET', '/status').then(() => true, () => false)); n++) await sleep(100);
	const browserOptions = { binary: MINI_BROWSERS.find(existsSync), args: ['--automation'] };
	const alwaysMatch = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': browserOptions };
	const { sessionId } = await call('POST', '/session', { capabilities: { alwaysMatch } });
	const session = `/session/${sessionId}`;
	return {
		async open(url) {
			const { handle } = await call('POST', `${session}/window/new`, { type: 'tab' });
			const enter = () => call('POST', `${session}/window`, { handle });
			await enter();
			await call('POST', `${session}/url`, { url });
			return {
				async reload() {
					await enter();
					await call('POST', `${session}/refresh`, {});
				},
				async evaluate(expression) {
					await enter();
					const run = `(async () => done([await (${expression})]))()`;
					const script = `const done = arguments[0]; ${run}.catch((error) => done({ error: String(error) }));`;
					const result = await call('POST', `${session}/execute/async`, { script, args: [] });
					if (result.error) throw new Error(result.error);
					return result[0];
				},
			};
		},
		async close() {
			await call('DELETE', session).catch(() => {});
			await driver.stop();
			await display.stop();
			rmSync(home, { recursive: true, maxRetries: 5 });
		},
	};
}
