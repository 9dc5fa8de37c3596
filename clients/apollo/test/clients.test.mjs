// Apollo Client, urql and fetch with a session, against a real server. Each refusal and each retry is one that was sent.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, Observable, gql } from '@apollo/client';
import { authFetch, followViewer, latchkeyErrors, latchkeyLink } from '@latchkey/apollo';
import { latchkeyExchange } from '@latchkey/apollo/urql';
import { Client, cacheExchange, fetchExchange } from '@urql/core';
import { Wire, newTab, theServer, until } from './server.mjs';

let server;
before(async () => (server = await theServer()));
after(() => server.stop());

// damage makes the access token one that the server refuses as MALFORMED: refresh once.
function damage({ storage }) {
	storage.write(storage.read().replace(/("accessToken":"[^"]*)"/, '$1x"'));
}

const ME = '{ me { username } }';
const CREATE = 'mutation { createApiToken(input: { name: "client" }) { apiToken { id } } }';
const REVOKE = 'mutation($i: RevokeApiTokenInput!) { revokeApiToken(input: $i) { apiToken { id } } }';

// The clients, each as { run(query, variables) → { data, errors } }, over a wire of its own.
const clients = {
	apollo(session, wire) {
		const link = ApolloLink.from([latchkeyLink(session), new HttpLink({ uri: session.url, fetch: wire.fetch })]);
		const client = new ApolloClient({ link, cache: new InMemoryCache(), defaultOptions: { query: { fetchPolicy: 'no-cache' } } });
		return async (query, variables) => {
			const document = gql(query);
			const options = { variables, errorPolicy: 'all' };
			const { data, error } = query.startsWith('mutation')
				? await client.mutate({ mutation: document, ...options })
				: await client.query({ query: document, ...options });
			if (error && !error.errors) throw error;
			return { data, errors: latchkeyErrors(error) };
		};
	},
	urql(session, wire) {
		const client = new Client({ url: session.url, preferGetMethod: false, fetch: wire.fetch, exchanges: [cacheExchange, latchkeyExchange(session), fetchExchange] });
		return async (query, variables) => {
			const { data, error } = query.startsWith('mutation')
				? await client.mutation(query, variables)
				: await client.query(query, variables, { requestPolicy: 'network-only' });
			if (error?.networkError) throw error.networkError;
			return { data, errors: latchkeyErrors(error) };
		};
	},
	authFetch(session, wire) {
		const send = authFetch(session, { fetch: wire.fetch });
		return async (query, variables) => {
			const response = await send(session.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ query, variables }) });
			const { data, errors } = await response.json();
			return { data, errors: latchkeyErrors({ errors: errors ?? [] }) };
		};
	},
};

for (const [name, newClient] of Object.entries(clients)) {
	async function loggedIn(t) {
		const tab = newTab(t, server);
		await tab.session.login('admin', server.password);
		const wire = new Wire();
		return { ...tab, refreshes: () => tab.wire.count('refresh'), wire, run: newClient(tab.session, wire) };
	}

	test(`${name}: queries and mutations carry the token`, async (t) => {
		const { run, refreshes } = await loggedIn(t);
		const { data, errors } = await run(ME);
		assert.deepEqual([data.me.username, errors], ['admin', []]);
		const { createApiToken } = (await run(CREATE)).data;
		const revoked = await run(REVOKE, { i: { id: createApiToken.apiToken.id } });
		assert.equal(revoked.data.revokeApiToken.apiToken.id, createApiToken.apiToken.id);
		assert.equal(refreshes(), 0);
	});

	test(`${name}: a refused token is refreshed once, for all operations that it was sent with, and each retried once`, async (t) => {
		const tab = await loggedIn(t);
		damage(tab);
		const answers = await Promise.all(Array.from({ length: 5 }, (_, n) => tab.run(`{ me { a${n}: username } }`)));
		assert.deepEqual(answers.map(({ data }, n) => data.me[`a${n}`]), Array(5).fill('admin'));
		assert.deepEqual([tab.refreshes(), tab.wire.sent.length], [1, 10]);
	});

	test(`${name}: a mutation that was refused as a whole is retried`, async (t) => {
		const tab = await loggedIn(t);
		damage(tab);
		const { data } = await tab.run(CREATE);
		await tab.run(REVOKE, { i: { id: data.createApiToken.apiToken.id } });
		assert.deepEqual([tab.refreshes(), tab.wire.sent.length], [1, 3]);
	});

	test(`${name}: a mutation that was refused in part is not repeated`, async (t) => {
		const tab = await loggedIn(t);
		damage(tab);
		const { refreshToken } = JSON.parse(tab.storage.read());
		const query = 'mutation Part($r: String!) { refreshed: refresh(input: {refreshToken: $r}) { tokenType } logout { endedSessions } }';
		const { data, errors } = await tab.run(query, { r: refreshToken });
		assert.deepEqual([data.refreshed.tokenType, data.logout], ['Bearer', null]);
		assert.deepEqual(errors.map(({ code, reason }) => [code, reason]), [['UNAUTHENTICATED', 'MALFORMED']]);
		assert.equal(tab.wire.sent.length, 1);
	});

	test(`${name}: a token that is refused again after the refresh is no loop`, async (t) => {
		const tab = await loggedIn(t);
		const through = tab.wire.fetch;
		tab.wire.fetch = null;
		const refuse = async (...request) => {
			await through(...request);
			const errors = [{ message: 'no', path: ['me'], extensions: { code: 'UNAUTHENTICATED', reason: 'WRONG_AUDIENCE' } }];
			return Response.json({ data: { me: null }, errors });
		};
		const { errors } = await newClient(tab.session, { fetch: refuse })(ME);
		assert.deepEqual(errors.map(({ reason }) => reason), ['WRONG_AUDIENCE']);
		assert.deepEqual([tab.refreshes(), tab.wire.sent.length], [1, 2]);
		assert.equal(tab.session.state.viewer.username, 'admin');
	});

	test(`${name}: a session that was revoked logs out, and the refusal is passed on`, async (t) => {
		const tab = await loggedIn(t);
		const other = newTab(t, server);
		other.storage.write(tab.storage.read());
		await other.session.logout();
		await other.session.login('admin', server.password); // another session does not help
		tab.storage.write(tab.storage.read());
		const { errors } = await tab.run(ME);
		assert.deepEqual(errors.map(({ code, reason }) => [code, reason]), [['UNAUTHENTICATED', 'REVOKED']]);
		assert.deepEqual(tab.session.state, { viewer: null, endedBy: 'REVOKED' });
		assert.deepEqual([tab.refreshes(), tab.wire.sent.length], [1, 1]);
	});

	test(`${name}: nobody logged in sends no token, and is not refreshed`, async (t) => {
		const tab = newTab(t, server);
		const wire = new Wire();
		const { errors } = await newClient(tab.session, wire)(ME);
		assert.deepEqual(errors.map(({ reason }) => reason), ['MISSING']);
		assert.deepEqual([tab.wire.sent.length, wire.sent.length, wire.sent[0].authorization], [0, 1, null]);
	});

	test(`${name}: a refresh without a network passes on no refusal that looks like a logout`, async (t) => {
		const tab = await loggedIn(t);
		damage(tab);
		const before = new Wire();
		const refreshing = newTab(t, server, tab.storage);
		refreshing.wire.lose = () => 'request';
		const run = newClient(refreshing.session, before);
		if (name === 'urql') assert.equal((await run(ME)).errors[0].reason, 'MALFORMED'); // an exchange reports results only
		else await assert.rejects(run(ME), { code: 'NETWORK_ERROR' });
		assert.equal(refreshing.session.state.viewer.username, 'admin');
	});
}

test('apollo: the mutations login and refresh pass untouched', async (t) => {
	const tab = newTab(t, server);
	await tab.session.login('admin', server.password);
	damage(tab);
	const seen = [];
	const answer = new ApolloLink((operation) => new Observable((observer) => {
		seen.push(operation.getContext().headers);
		observer.next({ data: { x: null }, errors: [{ message: 'no', path: ['x'], extensions: { code: 'UNAUTHENTICATED', reason: 'EXPIRED' } }] });
		observer.complete();
	}));
	const client = new ApolloClient({ link: ApolloLink.from([latchkeyLink(tab.session), answer]), cache: new InMemoryCache() });
	for (const field of ['login(input: {username: "a", password: "b"})', 'refresh(input: {refreshToken: "r"})']) {
		const { error } = await client.mutate({ mutation: gql(`mutation { x: ${field} { tokenType } }`), errorPolicy: 'all' });
		assert.equal(latchkeyErrors(error)[0].reason, 'EXPIRED');
	}
	assert.deepEqual(seen, [undefined, undefined]);
	assert.equal(tab.wire.count('refresh'), 0);
});

test('apollo: a subscription passes, with the token, and is not retried', async (t) => {
	const tab = newTab(t, server);
	await tab.session.login('admin', server.password);
	const seen = [];
	const refusal = { data: null, errors: [{ message: 'no', path: ['x'], extensions: { code: 'UNAUTHENTICATED', reason: 'EXPIRED' } }] };
	const answer = new ApolloLink((operation) => new Observable((observer) => {
		seen.push(operation.getContext().headers.authorization);
		observer.next(refusal);
		observer.complete();
	}));
	const client = new ApolloClient({ link: ApolloLink.from([latchkeyLink(tab.session), answer]), cache: new InMemoryCache() });
	const token = await tab.session.accessToken();
	const { error } = await new Promise((resolve) => client.subscribe({ query: gql`subscription { x }` }).subscribe({ next: resolve }));
	assert.equal(latchkeyErrors(error)[0].reason, 'EXPIRED');
	assert.deepEqual([seen, tab.wire.count('refresh')], [[`Bearer ${token}`], 0]);
});

test('apollo: an operation that is unsubscribed while the token is fetched is not sent', async (t) => {
	const tab = newTab(t, server);
	await tab.session.login('admin', server.password);
	const wire = new Wire();
	const link = ApolloLink.from([latchkeyLink(tab.session), new HttpLink({ uri: tab.session.url, fetch: wire.fetch })]);
	const client = new ApolloClient({ link, cache: new InMemoryCache() });
	client.watchQuery({ query: gql(ME) }).subscribe(() => {}).unsubscribe();
	await tab.session.refresh();
	assert.equal(wire.sent.length, 0);
});

test('apollo: the cache is emptied when the viewer changes, also by another tab', async (t) => {
	const tab = newTab(t, server);
	const other = newTab(t, server, tab.storage);
	await tab.session.login('admin', server.password);
	const link = ApolloLink.from([latchkeyLink(tab.session), new HttpLink({ uri: tab.session.url })]);
	const client = new ApolloClient({ link, cache: new InMemoryCache() });
	const unfollow = followViewer(tab.session, client);
	await client.query({ query: gql(ME) });
	await tab.session.refresh();
	assert.equal(client.readQuery({ query: gql(ME) }).me.username, 'admin');
	await other.session.logout();
	await until('the empty cache', () => client.readQuery({ query: gql(ME) }) === null);
	unfollow();
});

test('authFetch sends the token to the origins of the session and of the options, and to no other', async (t) => {
	const { session } = newTab(t, server);
	await session.login('admin', server.password);
	const sent = [];
	const fetch = async (request) => (sent.push([request.url, request.headers.get('authorization')]), Response.json({}));
	const send = authFetch(session, { fetch, origins: ['https://notes.example'] });
	const bearer = `Bearer ${await session.accessToken()}`;
	await send(`${server.url}/graphql`);
	await send(new Request('https://notes.example/graphql', { method: 'POST', body: '{}' }));
	for (const url of ['https://evil.example/graphql', 'http://127.0.0.1.evil.example/', 'https://notes.example.evil.example/']) await send(url);
	await send(`${server.url}/graphql`, { headers: { authorization: 'Bearer own' } });
	assert.deepEqual(sent.map(([, authorization]) => authorization), [bearer, bearer, null, null, null, 'Bearer own']);
});

test('authFetch passes on answers that are not GraphQL', async (t) => {
	const { session } = newTab(t, server);
	await session.login('admin', server.password);
	for (const body of ['null', '[1]', '"x"', '{', '{"errors": "x"}', '{"errors": [null]}']) {
		const send = authFetch(session, { fetch: async () => new Response(body, { headers: { 'content-type': 'application/json' } }) });
		assert.equal(await (await send(session.url)).text(), body);
	}
	const healthy = await authFetch(session)(`${server.url}/healthz`);
	assert.equal(healthy.status, 200);
});

test('errors have the details of their code', () => {
	const extensions = { code: 'FORBIDDEN', requiredScopes: [['a', 'b'], ['c']] };
	const [forbidden] = latchkeyErrors({ graphQLErrors: [{ message: 'no', path: ['x'], extensions }] });
	assert.deepEqual([forbidden.code, forbidden.requiredScopes, forbidden.path, forbidden.message], ['FORBIDDEN', [['a', 'b'], ['c']], ['x'], 'no']);
	const [plain] = latchkeyErrors({ errors: [{ message: 'of another server' }] });
	assert.equal(plain.code, 'INTERNAL_SERVER_ERROR');
	for (const nothing of [null, undefined, 5, 'x', {}, new Error('x'), { errors: 'x' }]) assert.deepEqual(latchkeyErrors(nothing), []);
});
