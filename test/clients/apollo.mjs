// Apollo Client 4: subscriptions by a WebSocket, the rest by HTTP; and its Relay pagination.

import assert from 'node:assert/strict';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { SUBSCRIPTION, until } from './server.mjs';

export async function run(server, ok) {
	const tokens = await server.logIn();
	const client = newClient(server, tokens);
	await splitByKind(client, server, tokens, ok);
	await paginate(client, server, tokens, ok);
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
