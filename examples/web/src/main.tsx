import { ApolloProvider } from '@apollo/client/react';
import { SessionProvider } from '@latchkey/apollo/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './App';
import { client, session } from './client';
import './app.css';

await session.accessToken(); // finds the session of the cookie, so that nobody sees the form to log in for a moment
createRoot(document.getElementById('root')!).render(
	<StrictMode>
		<SessionProvider session={session}>
			<ApolloProvider client={client}>
				<App />
			</ApolloProvider>
		</SessionProvider>
	</StrictMode>,
);
