// Uses the last release of GraphQL Playground, on a page of another origin, against a Latchkey: reads the schema, logs in,
// puts the token into the HTTP headers, and reads a guarded field.
//
// Usage: node playground.mjs
//
// It starts a server of its own, which takes clients/apollo with what its tests need, and takes the page's files from
// npm. CHROMIUM names the browser, by default /usr/bin/chromium.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { startServer } from '../../clients/apollo/test/server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-playground-'));
// The package's own dependencies are those of its source, and not needed for the built page.
execFileSync('npm', ['pack', '--silent', 'graphql-playground-react@1.7.28'], { cwd: folder });
execFileSync('tar', ['xzf', 'graphql-playground-react-1.7.28.tgz'], { cwd: folder });

const pages = createServer(servePage).listen(0, '127.0.0.1');
await new Promise((resolve) => pages.on('listening', resolve));
const origin = `http://127.0.0.1:${pages.address().port}`;
const server = await startServer({ LATCHKEY_ORIGINS: origin });
const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(30_000);

try {
	// The page asks for fonts elsewhere.
	await page.route((url) => ![origin, server.url].includes(url.origin), (route) => route.abort());
	await page.goto(origin);
	await type(0, '{ me { id } }');
	assert.match(await run(), /UNAUTHENTICATED/);
	await type(0, `mutation { login(input: {username: "admin", password: "${server.password}"}) { accessToken } }`);
	const token = /"accessToken": "([^"]+)"/.exec(await run())?.[1];
	assert.ok(token, 'the log-in returned no token');
	await page.getByText('HTTP HEADERS').click();
	await type(1, JSON.stringify({ Authorization: `Bearer ${token}` }));
	await type(0, '{ me { username } }');
	assert.match(await run(), /"username": "admin"/);
	await page.getByText(/^docs$/i).click();
	await page.getByText('auditLog').first().waitFor();
	console.log('ok: GraphQL Playground reads the schema, logs in, and reads a guarded field');
} catch (error) {
	console.error(`FAILED: ${error.stack}`);
	process.exitCode = 1;
} finally {
	await browser.close();
	await server.stop();
	pages.close();
	rmSync(folder, { recursive: true });
}

function servePage(request, response) {
	const name = new URL(request.url, origin).pathname;
	if (name === '/') {
		response.setHeader('content-type', 'text/html');
		response.end(`<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/build/static/css/index.css"><div id="root"></div>
			<script src="/build/static/js/middleware.js"></script>
			<script>GraphQLPlayground.init(document.getElementById('root'), { endpoint: '${server.url}/graphql', settings: { 'editor.reuseHeaders': true } })</script>`);
		return;
	}
	try {
		const file = readFileSync(join(folder, 'package', name));
		response.setHeader('content-type', name.endsWith('.css') ? 'text/css' : 'text/javascript');
		response.end(file);
	} catch {
		response.writeHead(404).end();
	}
}

// type replaces the text of an editor: the query is the first, the headers are the second.
async function type(editor, text) {
	await page.locator('.CodeMirror').first().waitFor();
	await page.evaluate(([at, value]) => {
		const editors = [...document.querySelectorAll('.CodeMirror')].filter((e) => e.offsetParent && !e.CodeMirror.getOption('readOnly'));
		editors[at].CodeMirror.setValue(value);
	}, [editor, text]);
}

// run runs the query, and returns the response's text.
async function run() {
	const answered = page.waitForResponse((response) => response.url() === `${server.url}/graphql` && response.request().method() === 'POST' && !response.request().postData()?.includes('__schema'));
	await page.locator('.CodeMirror').first().click();
	await page.keyboard.press('Control+Enter');
	await answered;
	await page.waitForTimeout(300);
	return page.evaluate(() => [...document.querySelectorAll('.CodeMirror')].filter((e) => e.offsetParent && e.CodeMirror.getOption('readOnly')).map((e) => e.CodeMirror.getValue()).join('\n'));
}
