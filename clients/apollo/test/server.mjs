// The servers that the tests need: a Latchkey, the one at URL (with PASSWORD, admin's) or one that is started; and what
// else they share.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSession, inMemory, latchkeySocket } from '@latchkey/apollo/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const root = new URL('../../..', import.meta.url).pathname;

// theServer returns { url, password, stop }.
export async function theServer() {
	const { URL: url, PASSWORD: password } = process.env;
	return url && password ? { url: url.replace(/\/$/, ''), password, stop() {} } : startServer();
}

// startServer builds and starts a Latchkey of its own, with a SQLite file in a new folder.
export async function startServer(settings = {}) {
	const folder = mkdtempSync(join(tmpdir(), 'latchkey-client-'));
	const binary = process.env.LATCHKEY_TEST_BINARY ?? join(folder, 'latchkey');
	if (!process.env.LATCHKEY_TEST_BINARY) execFileSync('go', ['build', '-o', binary, '.'], { cwd: root });
	const env = { PATH: process.env.PATH, LATCHKEY_ADDR: '127.0.0.1:0', LATCHKEY_LOG_LEVEL: 'error', ...settings };
	const child = spawn(binary, ['serve'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
	const said = [];
	for await (const line of createInterface(child.stdout)) {
		said.push(line);
		if (line.includes('{ me { id username } }')) break; // the last line of the greeting
	}
	const url = /GraphQL +(\S+)\/graphql/.exec(said.join('\n'))?.[1];
	const password = /password: "([^"]+)"/.exec(said.join('\n'))?.[1];
	assert.ok(url && password, `the server did not start: ${said.join('\n')}`);
	const ended = new Promise((resolve) => child.on('exit', resolve));
	return {
		url,
		password,
		async stop() {
			child.kill('SIGTERM');
			await ended;
			rmSync(folder, { recursive: true });
		},
	};
}

// A Wire is a fetch that records what passes, and may fail.
export class Wire {
	sent = [];
	lose = () => null; // returns 'request' or 'answer' to lose it
	hold = null; // a promise that answers wait for

	fetch = async (url, options) => {
		const body = options?.body ?? (await url.clone?.().text()) ?? '';
		const kind = /(login|refresh|logout)\(/.exec(body)?.[1] ?? 'other';
		const authorization = options ? new Headers(options.headers).get('authorization') : url.headers.get('authorization');
		this.sent.push({ kind, body, authorization });
		const lost = this.lose(kind);
		if (lost === 'request') throw new TypeError('fetch failed');
		const response = await fetch(url, options);
		if (lost === 'answer') throw new TypeError('fetch failed');
		if (this.hold) await this.hold;
		return response;
	};

	count(kind) {
		return this.sent.filter((request) => request.kind === kind).length;
	}
}

// sharedStorage is a storage that several tabs share, as localStorage.
export function sharedStorage() {
	return { ...inMemory(), tabs: 'same' };
}

// newTab returns a session with its wire and a clock that can be set.
export function newTab(t, server, storage = sharedStorage(), offset = 0) {
	const wire = new Wire();
	const time = { offset };
	const session = createSession({ url: `${server.url}/graphql`, storage, fetch: wire.fetch, clock: () => Date.now() + time.offset });
	t.after(() => session.dispose());
	return { session, wire, time, storage };
}

// ask sends a query with a token and returns the answer.
export async function ask(server, token, query, variables) {
	const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) };
	const response = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) });
	return response.json();
}

// whoIs returns the user name of a token, or the reason why there is none.
export async function whoIs(server, token) {
	const { data, errors } = await ask(server, token, '{ me { username } }');
	return data.me?.username ?? errors[0].extensions.reason;
}

// until waits for something truthy, at most eight seconds.
export async function until(what, find, patience = 8_000) {
	for (const start = Date.now(); Date.now() - start < patience; await sleep(20)) {
		const found = await find();
		if (found) return found;
	}
	throw new Error(`${what} did not come`);
}

// newUser makes a user, who is deleted after the test, and returns it with what asks as admin.
export async function newUser(t, server) {
	const { session } = newTab(t, server);
	await session.login('admin', server.password);
	const admin = async (query, variables) => {
		const { data, errors } = await ask(server, await session.accessToken(), query, variables);
		assert.equal(errors, undefined, JSON.stringify(errors));
		return data;
	};
	const user = { username: `client-${Math.random().toString(36).slice(2, 10)}`, password: 'long enough for a test' };
	const { createUser } = await admin('mutation($i: CreateUserInput!) { createUser(input: $i) { user { id } } }', { i: user });
	const { id } = createUser.user;
	t.after(() => admin(`mutation { deleteUser(input: {id: "${id}"}) { deletedUserId } }`));
	return { ...user, id, admin };
}

// A Subscriber is graphql-ws with a session, and what happened to it.
export class Subscriber {
	received = [];
	closed = [];
	pongs = [];
	params = [];
	failed = null;
	socket = null;

	constructor(t, session, options = {}) {
		const all = { ...latchkeySocket(session), webSocketImpl: WebSocket, retryWait: () => sleep(50), ...options };
		const { connectionParams } = all;
		all.connectionParams = async () => {
			const params = await connectionParams();
			this.params.push(params);
			return params;
		};
		this.client = createClient(all);
		this.client.on('connected', (socket) => (this.socket = socket));
		this.client.on('closed', ({ code, reason }) => this.closed.push([code, reason]));
		this.client.on('pong', (received, payload) => received && this.pongs.push(payload));
		t.after(() => this.client.dispose());
		this.client.subscribe({ query: 'subscription { securityEvents { kind objectId } }' }, {
			next: ({ data, errors }) => (data?.securityEvents ? this.received.push(data.securityEvents) : (this.failed = errors)),
			error: (error) => (this.failed = error),
			complete: () => (this.failed = 'complete'),
		});
	}

	// hear makes events of the user until one is received.
	hear(server, session) {
		this.received.length = 0;
		return until('a security event', async () => {
			const token = await session.accessToken();
			const { data } = await ask(server, token, 'mutation { createApiToken(input: {name: "check"}) { apiToken { id } } }');
			const { id } = data.createApiToken.apiToken;
			await ask(server, token, 'mutation($i: RevokeApiTokenInput!) { revokeApiToken(input: $i) { apiToken { id } } }', { i: { id } });
			await sleep(200);
			return this.received.find(({ objectId }) => objectId === id);
		});
	}
}
