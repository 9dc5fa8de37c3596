// graphql-sse in its distinct connections mode: one event stream an operation.

import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';
import { SUBSCRIPTION, until } from './server.mjs';

export async function run(server, ok) {
	const tokens = await server.logIn();
	const client = createClient({
		url: server.graphql,
		headers: () => ({ Authorization: `Bearer ${tokens.accessToken}` }),
		retryAttempts: 0,
	});
	await query(client, server, ok);
	await endWithToken(client, server, tokens, ok);
	client.dispose();
}

async function query(client, server, ok) {
	const results = [];
	for await (const result of client.iterate({ query: '{ me { username } }' })) results.push(result);
	assert.deepEqual(results, [{ data: { me: { username: server.username } } }]);
	ok('a query is one result and the end');

	const refused = [];
	for await (const result of client.iterate({ query: '{ nothing }' })) refused.push(result);
	assert.equal(refused.length, 1);
	assert.equal(refused[0].errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
	ok('a document that does not fit is one result with errors, no failed connection');
}

async function endWithToken(client, server, tokens, ok) {
	const received = [];
	const last = { errors: null, end: null };
	client.subscribe(
		{ query: SUBSCRIPTION },
		{
			next: ({ data, errors }) => (data ? received.push(data.securityEvents) : (last.errors = errors)),
			error: (error) => (last.end = error),
			complete: () => (last.end = 'complete'),
		},
	);
	await server.hear(tokens.accessToken, received);
	ok('a subscription hears of an API token made over HTTP');
	await server.logOut(tokens.accessToken);
	await until('the end', () => last.end);
	assert.equal(last.end, 'complete');
	assert.deepEqual(last.errors?.[0].extensions, { code: 'UNAUTHENTICATED', reason: 'REVOKED' });
	ok('logging out ends the stream in order, with UNAUTHENTICATED as its last result');
}
