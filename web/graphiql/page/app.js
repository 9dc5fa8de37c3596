// Mounts GraphiQL on the page. It comes from files that lie beside this one and
// talks to the GraphQL endpoint that lies beside the page, wherever that is.
(() => {
	'use strict';

	const endpoint = new URL('graphql', location.href);

	// A subscription opens a WebSocket at the same path, and sends its headers as
	// the connection parameters. Until one is run, none is opened.
	const socket = new URL(endpoint);
	socket.protocol = endpoint.protocol.replace('http', 'ws');

	const session = LatchkeySession(endpoint.href);
	LatchkeyBar(session);

	const send = GraphiQL.createFetcher({
		url: endpoint.href,
		subscriptionUrl: socket.href,
		enableIncrementalDelivery: false,
		headers: { Accept: 'application/json' },
	});

	// fetcher sends the session's token with every operation of every tab; the
	// header of a tab takes its place.
	const fetcher = async (operation, options) => {
		const headers = { ...options?.headers };
		if (!Object.keys(headers).some((name) => name.toLowerCase() === 'authorization')) {
			const token = await session.token();
			if (token) headers.Authorization = `Bearer ${token}`;
		}
		const result = await send(operation, { ...options, headers });
		if (operation.operationName === 'IntrospectionQuery') schemaRefused = Boolean(result.errors);
		return result;
	};
	let schemaRefused = false; // to the viewer, by LATCHKEY_INTROSPECTION

	const defaultTabs = [
		`# Log in above; then run this. The token is sent
# with the operations of all tabs.
#
# For every user: Me, Sessions, CreateToken, Events.
# For administrators: Users, CreateUser, AuditLog.
#
# Escape, then Tab leaves the editor.
query Me {
  me {
    id
    username
    email
    roles
    scopes
  }
}
`,
		`# For every user: where you are logged in.
# logout(input: {sessions: OTHERS}) ends all
# sessions but this one.
query Sessions {
  me {
    sessions {
      nodes {
        id
        device
        ip
        lastUsedAt
        current
      }
    }
  }
}
`,
		`# For every user: a token for a program. It is
# shown this once.
mutation CreateToken {
  createApiToken(input: {name: "example", scopes: []}) {
    token
    apiToken {
      id
      name
    }
  }
}
`,
		`# For every user: what happens to your account from
# now on. Run it, and log in in another window.
subscription Events {
  securityEvents {
    kind
    at
    ip
    device
  }
}
`,
		`# For administrators: it needs the scope users:read.
query Users {
  users(first: 10) {
    totalCount
    nodes {
      id
      username
      roles
      disabledAt
    }
  }
}
`,
		`# For administrators: it needs the scope users:write.
mutation CreateUser {
  createUser(input: {username: "ada", password: "change this text", roles: [USER]}) {
    user {
      id
      username
    }
  }
}
`,
		`# For administrators: it needs the scope audit:read.
query AuditLog {
  auditLog(last: 10, filter: {kinds: [LOGIN_FAILED, REFRESH_REUSED]}) {
    nodes {
      kind
      at
      userId
      ip
      device
    }
  }
}
`,
	].map((query) => ({ query }));

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

	// Tab indents in an editor. After Escape it leaves the editor, as the browser has it.
	let leaving = false;
	document.addEventListener('keydown', (event) => {
		if (leaving && event.key === 'Tab' && event.target.closest('.CodeMirror')) event.stopPropagation();
		if (event.key !== 'Shift') leaving = event.key === 'Escape';
	}, true);

	const root = ReactDOM.createRoot(document.getElementById('app'));
	const render = (key) => root.render(
		React.createElement(
			GraphiQL,
			{
				key, // another key mounts GraphiQL anew, which reads the schema again
				fetcher,
				defaultTabs,
				isHeadersEditorEnabled: true,
				storage,
				shouldPersistHeaders: false,
				showPersistHeadersSettings: false,
			},
			React.createElement(GraphiQL.Logo, null, 'Latchkey'),
		),
	);
	session.token().catch(() => {}).finally(() => {
		let mounted = 0;
		render(mounted);
		session.onChange(() => {
			if (session.viewer && schemaRefused) render(++mounted);
		});
	});
})();
