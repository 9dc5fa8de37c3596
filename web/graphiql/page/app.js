// Mounts GraphiQL on the page. It comes from files that lie beside this one and
// talks to the GraphQL endpoint that lies beside the page, wherever that is.
(() => {
	'use strict';

	const endpoint = new URL('graphql', location.href);

	// A subscription opens a WebSocket at the same path, and sends the headers
	// of its tab as the connection parameters. Until one is run, none is opened.
	const socket = new URL(endpoint);
	socket.protocol = endpoint.protocol.replace('http', 'ws');

	const fetcher = GraphiQL.createFetcher({
		url: endpoint.href,
		subscriptionUrl: socket.href,
		enableIncrementalDelivery: false,
		headers: { Accept: 'application/json' },
	});

	const defaultTabs = [
		{
			query: `# 1. Put the password that the first start
#    printed between the quotes; run this.
# 2. Copy the accessToken of the answer into
#    the headers of the tab "Me"; run that.
mutation LogIn {
  login(input: {username: "admin", password: ""}) {
    accessToken
    expiresAt
    refreshToken
    user {
      username
      roles
    }
  }
}
`,
		},
		{
			query: `# Who the token in the headers below belongs to.
query Me {
  me {
    id
    username
    email
    roles
  }
}
`,
			headers: JSON.stringify({ Authorization: 'Bearer PASTE_ACCESS_TOKEN_HERE' }, null, 2),
		},
	];

	// What is typed outlasts a reload, but not the browser tab: a query can hold a
	// password. The history lasts until the reload only, because GraphiQL stores
	// headers with it, which hold tokens, whatever shouldPersistHeaders says.
	const unstored = ['graphiql:queries', 'graphiql:favorites'];
	const storage = {
		get length() {
			return sessionStorage.length;
		},
		getItem: (key) => sessionStorage.getItem(key),
		setItem: (key, value) => unstored.includes(key) || sessionStorage.setItem(key, value),
		removeItem: (key) => sessionStorage.removeItem(key),
		clear: () => sessionStorage.clear(),
	};

	const page = React.createElement(
		GraphiQL,
		{
			fetcher,
			defaultTabs,
			isHeadersEditorEnabled: true,
			defaultEditorToolsVisibility: 'headers',
			storage,
			shouldPersistHeaders: false,
			showPersistHeadersSettings: false,
		},
		React.createElement(GraphiQL.Logo, null, 'Latchkey'),
	);

	ReactDOM.createRoot(document.getElementById('app')).render(page);
})();
