import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { relayStylePagination } from '@apollo/client/utilities';
import { createSession, followViewer, inCookie, latchkeyLink, latchkeySocket } from '@latchkey/apollo';
import { createClient } from 'graphql-ws';

export const session = createSession({ url: '/graphql', storage: inCookie() });

const http = ApolloLink.from([latchkeyLink(session), new HttpLink({ uri: session.url })]);
const sockets = new GraphQLWsLink(createClient(latchkeySocket(session)));

export const client = new ApolloClient({
	link: ApolloLink.split(({ operationType }) => operationType === 'subscription', sockets, http),
	cache: new InMemoryCache({ typePolicies: { Query: { fields: { users: relayStylePagination(['search']) } } } }),
});
followViewer(session, client);
