// Apollo Client 4: subscriptions by a WebSocket, the rest by HTTP; and its Relay pagination.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode, buildClientSchema, getIntrospectionQuery, parse } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { SUBSCRIPTION, until } from './server.mjs';

export async function run(server, ok) {
	const tokens = await server.logIn();
	const client = newClient(server, tokens);
	await splitByKind(client, server, tokens, ok);
	await subscribeInParts(server, ok);
	await paginate(client, server, tokens, ok);
	await introspect(client, ok);
	await persistQueries(server, tokens, ok);
	client.stop();
	client.sockets.dispose();
	await server.logOut(tokens.accessToken);
}

function newClient(server, tokens) {
	const bearer = () => `Bearer ${tokens.accessToken}`;
	const sockets = createClient({
		url: server.socket,
		webSocketImpl: WebSocket,
		connectionParams: () => ({ headers: { authorization: bearer() } }),
	});
	const withToken = new SetContextLink(({ headers }) => ({ headers: { ...headers, authorization: bearer() } }));
	const http = ApolloLink.from([withToken, new HttpLink({ uri: server.graphql })]);
	const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
	const client = new ApolloClient({
		link: ApolloLink.split(isSubscription, new GraphQLWsLink(sockets), http),
		cache: new InMemoryCache({ typePolicies: { Query: { fields: { users: relayStylePagination(['search']) } } } }),
	});
	return Object.assign(client, { sockets });
}

async function splitByKind(client, server, tokens, ok) {
	const { data } = await client.query({ query: gql`query { me { id username } }` });
	assert.equal(data.me.username, server.username);
	const received = [];
	let failed = null;
	const subscription = client.subscribe({ query: gql(SUBSCRIPTION) }).subscribe({
		next: ({ data, error }) => (error ? (failed = error) : received.push(data.securityEvents)),
		error: (error) => (failed = error),
	});
	await server.hear(tokens.accessToken, received);
	assert.equal(failed, null);
	assert.equal(received[0].__typename, 'SecurityEvent');
	subscription.unsubscribe();
	ok('a query goes by HTTP and a subscription by GraphQLWsLink, with the same token');
}

// subscribeInParts uses HttpLink alone, which subscribes by a multipart response.
async function subscribeInParts(server, ok) {
	const tokens = await server.logIn();
	const headers = { authorization: `Bearer ${tokens.accessToken}` };
	const client = new ApolloClient({ link: new HttpLink({ uri: server.graphql, headers }), cache: new InMemoryCache() });
	const received = [];
	let failed = null;
	const subscription = client.subscribe({ query: gql(SUBSCRIPTION) }).subscribe({
		next: ({ data, error }) => (error ? (failed = error) : received.push(data.securityEvents)),
		error: (error) => (failed = error),
	});
	await server.hear(tokens.accessToken, received);
	assert.equal(failed, null);
	ok('HttpLink alone subscribes, by a multipart response');
	await server.logOut(tokens.accessToken);
	await until('the end of the subscription', () => failed);
	assert.equal(failed.errors[0].extensions.reason, 'REVOKED');
	subscription.unsubscribe();
	client.stop();
	ok('logging out ends the multipart response with UNAUTHENTICATED');
}

const PAGE = gql`
	query Page($search: String, $first: Int, $after: String, $last: Int, $before: String) {
		users(search: $search, first: $first, after: $after, last: $last, before: $before) {
			edges { cursor node { id username } }
			pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
			totalCount
		}
	}`;

// paginate walks a list in both directions, as Relay's Cursor Connections say.
async function paginate(client, server, tokens, ok) {
	const search = `check-${Math.random().toString(36).slice(2, 10)}`;
	const made = await makeUsers(server, tokens, search, 3);
	await walkForward(client, search, made);
	ok('relayStylePagination joins the pages of a list, each item once, in order');
	await walkBackward(client, search, made);
	ok('last and before give the same list from its end');
	await refetch(client, made);
	ok('node finds each item again by its ID');
}

async function makeUsers(server, { accessToken }, search, count) {
	const made = [];
	for (let n = 0; n < count; n++) {
		const data = await server.ask(
			accessToken,
			'mutation($c: CreateUserInput!) { createUser(input: $c) { user { id } } }',
			{ c: { username: `${search}-${n}` } },
		);
		const { id } = data.createUser.user;
		made.push(id);
		await server.ask(accessToken, 'mutation($d: DisableUserInput!) { disableUser(input: $d) { user { id } } }', { d: { id } });
	}
	return made;
}

async function walkForward(client, search, made) {
	const query = client.watchQuery({ query: PAGE, variables: { search, first: 1 } });
	const watching = query.subscribe({});
	let page = await until('the first page', () => query.getCurrentResult().data?.users);
	for (let pages = 1; page.pageInfo.hasNextPage; pages++) {
		assert.ok(pages < made.length, 'hasNextPage does not end');
		const { data } = await query.fetchMore({ variables: { after: page.pageInfo.endCursor } });
		page = data.users;
	}
	const all = () => query.getCurrentResult().data.users;
	await until('the joined list', () => all().edges.length === made.length);
	assert.deepEqual(idsOf(all()), made);
	assert.equal(all().totalCount, made.length);
	watching.unsubscribe();
}

async function walkBackward(client, search, made) {
	const found = [];
	let before;
	for (let more = true; more; ) {
		const variables = { search, last: 2, before };
		const { data } = await client.query({ query: PAGE, variables, fetchPolicy: 'no-cache' });
		found.unshift(...idsOf(data.users));
		more = data.users.pageInfo.hasPreviousPage;
		before = data.users.pageInfo.startCursor;
		assert.ok(found.length <= made.length, 'hasPreviousPage does not end');
	}
	assert.deepEqual(found, made);
}

async function refetch(client, made) {
	const query = gql`query Again($id: ID!) { node(id: $id) { __typename id ... on User { username } } }`;
	for (const id of made) {
		const { data } = await client.query({ query, variables: { id } });
		assert.deepEqual([data.node.__typename, data.node.id], ['User', id]);
	}
}

function idsOf({ edges }) {
	return edges.map(({ node }) => node.id);
}

// introspect reads the schema with each combination of what graphql-js can ask for. Apollo's command line, graphql-codegen,
// Altair, Insomnia and Postman ask with some of them. Apollo Client adds __typename to each selection set.
async function introspect(client, ok) {
	const options = ['descriptions', 'specifiedByUrl', 'directiveIsRepeatable', 'schemaDescription', 'inputValueDeprecation', 'oneOf'];
	for (let chosen = 0; chosen < 1 << options.length; chosen++) {
		const query = getIntrospectionQuery(Object.fromEntries(options.map((name, i) => [name, Boolean(chosen & (1 << i))])));
		const { data } = await client.query({ query: parse(query), fetchPolicy: 'no-cache' });
		assert.ok(buildClientSchema(data).getQueryType().getFields().me);
	}
	ok('graphql-js reads the schema through the client, with each combination of its options');
}

// persistQueries sends hashes, by POST and by GET. Each document is new to the server, so it is sent once.
async function persistQueries(server, tokens, ok) {
	const headers = { authorization: `Bearer ${tokens.accessToken}` };
	const sha256 = (text) => createHash('sha256').update(text).digest('hex');
	for (const useGETForHashedQueries of [false, true]) {
		const sent = [];
		const http = new HttpLink({
			uri: server.graphql,
			headers,
			fetch: (url, options) => (sent.push({ url, ...options }), fetch(url, options)),
		});
		const link = ApolloLink.from([new PersistedQueryLink({ sha256, useGETForHashedQueries }), http]);
		const client = new ApolloClient({ link, cache: new InMemoryCache() });
		const alias = `a${Date.now()}`;
		for (const _ of ['first', 'second']) {
			const { data } = await client.query({ query: parse(`query { ${alias}: me { username } }`), fetchPolicy: 'no-cache' });
			assert.equal(data[alias].username, server.username);
		}
		const method = useGETForHashedQueries ? 'GET' : 'POST';
		assert.deepEqual(sent.map((request) => request.method), [method, 'POST', method]);
		assert.deepEqual(sent.map((request) => JSON.stringify(request).includes('username')), [false, true, false]);
		client.stop();
	}
	ok('PersistedQueryLink sends a document once, and its hash from then on, by POST and by GET');
}
