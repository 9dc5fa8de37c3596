// The page of browser.test.mjs: React in strict mode, Apollo Client with a socket, and a session that the test can reach.

import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { ApolloProvider, useQuery } from '@apollo/client/react';
import { createSession, followViewer, inCookie, inLocalStorage, inSessionStorage, latchkeyLink, latchkeySocket } from '@latchkey/apollo';
import { SessionProvider, useSession, useViewer } from '@latchkey/apollo/react';
import { createClient } from 'graphql-ws';
import { StrictMode, createElement as h } from 'react';
import { createRoot } from 'react-dom/client';

const parameters = new URLSearchParams(location.search);
window.offset = 0;
window.events = [];
window.closes = [];
const session = (window.session = createSession({
	url: parameters.get('url'),
	storage: { local: inLocalStorage, session: inSessionStorage, cookie: inCookie }[parameters.get('storage')](),
	clock: () => Date.now() + window.offset,
}));
const sockets = createClient(latchkeySocket(session));
sockets.on('connected', () => (window.connected = true));
sockets.on('closed', ({ code }) => window.closes.push(code));
const http = ApolloLink.from([latchkeyLink(session), new HttpLink({ uri: session.url })]);
const client = new ApolloClient({
	link: ApolloLink.split(({ operationType }) => operationType === 'subscription', new GraphQLWsLink(sockets), http),
	cache: new InMemoryCache(),
});
followViewer(session, client);
window.listen = () => {
	client.subscribe({ query: gql`subscription { securityEvents { kind } }` }).subscribe({
		next: ({ data }) => data && window.events.push(data.securityEvents.kind),
		error: () => window.events.push('error'),
	});
};
window.ask = async () => (await client.query({ query: gql`query Ask { me { id username } }`, fetchPolicy: 'no-cache' })).data.me.username;

// Counts what the hooks subscribe to.
window.subscribed = 0;
const counted = {
	...Object.fromEntries(Object.keys(session).filter((key) => key !== 'state').map((key) => [key, session[key]])),
	get state() {
		return session.state;
	},
	subscribe(listener) {
		window.subscribed++;
		const unsubscribe = session.subscribe(listener);
		return () => {
			window.subscribed--;
			unsubscribe();
		};
	},
};

function App() {
	const { viewer, endedBy } = useSession();
	return viewer ? h(Profile) : h('p', null, `nobody: ${endedBy}`);
}

function Profile() {
	const viewer = useViewer();
	const { data } = useQuery(gql`query Me { me { id username } }`);
	return h('p', null, `viewer: ${viewer.username}, me: ${data?.me?.username}`);
}

const root = createRoot(document.getElementById('root'));
window.unmount = () => root.unmount();
root.render(h(StrictMode, null, h(SessionProvider, { session: counted }, h(ApolloProvider, { client }, h(App)))));
