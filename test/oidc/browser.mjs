// Does what users do: logs in with the page of docs/log-in-by-providers.md, declines, and logs out at the provider.
//
// Usage: node browser.mjs LATCHKEY_URL

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import ts from 'typescript';

const latchkey = process.argv[2];
const app = 'https://app.example.com';
const network = globalThis.fetch;

// page loads the document's page at a URL, in a tab with its sessionStorage.
async function page(tab, url) {
	const document = readFileSync(new URL('../../docs/log-in-by-providers.md', import.meta.url), 'utf8');
	const [, source] = /```ts login\.ts\n(.*?)```/s.exec(document);
	const { outputText } = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } });
	globalThis.location = { ...tab, origin: app, pathname: new URL(url).pathname, search: new URL(url).search, assign: (to) => { tab.next = to; } };
	globalThis.sessionStorage = { getItem: (k) => tab.stored[k] ?? null, setItem: (k, v) => { tab.stored[k] = v; }, removeItem: (k) => delete tab.stored[k] };
	globalThis.history = { replaceState: () => { tab.cleaned = true; } };
	globalThis.fetch = (to, init) => network(new URL(to, latchkey), init);
	return import(`data:text/javascript,${encodeURIComponent(`${outputText}\n// ${Math.random()}`)}`);
}

const newTab = () => ({ stored: {}, cookies: new Map() });

// visit requests a page of the provider with the tab's cookies.
async function visit(tab, url, form) {
	const response = await network(url, {
		redirect: 'manual',
		headers: { cookie: [...tab.cookies].map(([k, v]) => `${k}=${v}`).join('; '), ...(form && { 'content-type': 'application/x-www-form-urlencoded' }) },
		...(form && { method: 'POST', body: new URLSearchParams(form) }),
	});
	for (const cookie of response.headers.getSetCookie()) {
		const [name, value] = cookie.split(';')[0].split(/=(.*)/s);
		if (value) tab.cookies.set(name, value);
		else tab.cookies.delete(name);
	}
	return response;
}

// follow goes from page to page of the provider, and fills in its forms, until it is sent back to the application.
async function follow(tab, start, { decline = false } = {}) {
	for (let url = start, i = 0; i < 15; i++) {
		if (url.startsWith(`${app}/`)) return url;
		const response = await visit(tab, url);
		let location = response.headers.get('location');
		if (response.status === 200) {
			const html = await response.text();
			const action = new URL(/action="([^"]+)"/.exec(html)[1], url).href;
			const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1];
			const xsrf = /name="xsrf" value="([^"]+)"/.exec(html)?.[1];
			if (decline) location = /href="([^"]+\/abort)"/.exec(html)[1];
			else location = (await visit(tab, action, prompt === 'login' ? { prompt, login: 'carol', password: 'x' } : prompt ? { prompt } : { xsrf, logout: 'yes' })).headers.get('location');
		}
		assert.ok(location, `the provider responds with ${response.status} at ${url}`);
		url = new URL(location, url).href;
	}
	throw new Error('the provider sends from page to page');
}

async function logIn(tab) {
	await (await page(tab, `${app}/`)).start('acme');
	const back = await follow(tab, tab.next);
	const tokens = await (await page(tab, back)).complete();
	assert.ok(tab.cleaned && !tab.stored.login, 'the code and the verifier stay in the page');
	return { tokens, back };
}

async function ask(query, token) {
	const response = await network(new URL('/graphql', latchkey), {
		method: 'POST',
		headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
		body: JSON.stringify({ query }),
	});
	return response.json();
}

const tab = newTab();
const first = await logIn(tab);
const { data: { me } } = await ask('{ me { id username email name identities { provider } } }', first.tokens.accessToken);
assert.deepEqual({ ...me, id: '' }, { id: '', username: 'carol', email: 'carol@example.com', name: 'Carol', identities: [{ provider: 'acme' }] });
console.log('ok: a user signs up by a certified provider');

const second = await logIn(tab);
assert.equal((await ask('{ me { id } }', second.tokens.accessToken)).data.me.id, me.id);
console.log('ok: and logs in again as the same user');

await assert.rejects((await page(newTab(), second.back)).complete(), /did not start/);
tab.stored.login = JSON.stringify({ state: new URL(second.back).searchParams.get('state'), verifier: 'x' });
await assert.rejects((await page(tab, second.back)).complete(), { code: 'PROVIDER_LOGIN_FAILED' });
console.log('ok: a redirect logs in nobody else, and nobody twice');

const other = newTab();
await (await page(other, `${app}/`)).start('acme');
const declined = await follow(other, other.next, { decline: true });
await assert.rejects((await page(other, declined)).complete(), /the provider refused: access_denied/);
console.log('ok: a user declines');

const third = await logIn(newTab()); // another session at the provider
const { data: { logout } } = await ask(`mutation { logout { endedSessions providerLogoutUrl(redirectUri: "${app}/callback") } }`, second.tokens.accessToken);
assert.equal((await ask('{ me { id } }', first.tokens.accessToken)).data.me.id, me.id);
assert.equal(await follow(tab, logout.providerLogoutUrl), `${app}/callback`);
for (let i = 0; i < 50 && (await ask('{ me { id } }', first.tokens.accessToken)).data.me; i++) await new Promise((resolve) => setTimeout(resolve, 100));
assert.equal((await ask('{ me { id } }', first.tokens.accessToken)).errors[0].extensions.reason, 'REVOKED');
assert.equal((await ask('{ me { id } }', third.tokens.accessToken)).data.me.id, me.id);
console.log('ok: a logout at the provider ends the sessions here that began by its session, and no other');
