// urql's core, as it comes: queries by GET while the URL is short, and by POST; subscriptions by event streams.

import assert from 'node:assert/strict';
import { Client, fetchExchange } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { SUBSCRIPTION } from './server.mjs';

export async function run(server, ok) {
	const tokens = await server.logIn();
	const sent = [];
	const client = new Client({
		url: server.graphql,
		exchanges: [fetchExchange],
		fetchSubscriptions: true,
		fetchOptions: () => ({ headers: { authorization: `Bearer ${tokens.accessToken}` } }),
		fetch: (url, options) => (sent.push(options), fetch(url, options)),
	});
	await query(client, server, sent, ok);
	await refuse(client, ok);
	await mutate(client, ok);
	await subscribe(client, server, tokens, ok);
	await persist(server, tokens, ok);
	await server.logOut(tokens.accessToken);
}

async function query(client, server, sent, ok) {
	const short = await client.query('query Me($id: ID!) { me { id username } node(id: $id) { id } }', { id: 'user_01jzzzzzzzzzzzzzzzzzzzzzzz' });
	assert.equal(short.data.me.username, server.username);
	assert.equal(short.error.graphQLErrors[0].extensions.code, 'NOT_FOUND');
	assert.equal(sent.pop().method, 'GET');
	ok('a short query goes by GET, and what is refused leaves the rest of the data');

	const aliases = Array.from({ length: 25 }, (_, n) => `${'one_and_the_same_field_'.repeat(5)}${n}: username`);
	const { data, error } = await client.query(`query Aliases { me { ${aliases.join(' ')} } }`, {});
	assert.ifError(error);
	assert.equal(Object.values(data.me).filter((name) => name === server.username).length, aliases.length);
	assert.equal(sent.pop().method, 'POST');
	ok('a long query goes by POST');
}

async function refuse(client, ok) {
	const { error } = await client.query('{ nothing }', {});
	assert.equal(error.graphQLErrors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
	assert.equal(error.networkError, undefined);
	ok('a document that does not fit is a GraphQL error with its code, no network error');
}

async function mutate(client, ok) {
	const made = await client.mutation('mutation { createApiToken(input: { name: "urql" }) { apiToken { id } } }', {});
	assert.ifError(made.error);
	const input = { id: made.data.createApiToken.apiToken.id };
	const revoked = await client.mutation('mutation($i: RevokeApiTokenInput!) { revokeApiToken(input: $i) { apiToken { id } } }', { i: input });
	assert.ifError(revoked.error);
	ok('mutations go by POST');
}

async function subscribe(client, server, tokens, ok) {
	const received = [];
	let failed = null;
	const { unsubscribe } = client.subscription(SUBSCRIPTION, {}).subscribe(({ data, error }) => {
		if (error) failed = error;
		else received.push(data.securityEvents);
	});
	await server.hear(tokens.accessToken, received);
	assert.equal(failed, null);
	unsubscribe();
	ok('a subscription by fetch hears of an API token made over HTTP');
}

// persist sends a document that is new to the server twice.
async function persist(server, tokens, ok) {
	const sent = [];
	const client = new Client({
		url: server.graphql,
		exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
		fetchOptions: () => ({ headers: { authorization: `Bearer ${tokens.accessToken}` } }),
		fetch: (url, options) => (sent.push({ url, ...options }), fetch(url, options)),
	});
	const document = `{ me { a${Date.now()}: username } }`;
	for (const _ of ['first', 'second']) {
		const { data, error } = await client.query(document, {}, { requestPolicy: 'network-only' });
		assert.ifError(error);
		assert.equal(Object.values(data.me)[0], server.username);
	}
	assert.deepEqual(sent.map((request) => request.method), ['GET', 'GET', 'GET']);
	assert.deepEqual(sent.map((request) => JSON.stringify(request).includes('username')), [false, true, false]);
	ok('persistedExchange sends a document once, and its hash from then on');
}
