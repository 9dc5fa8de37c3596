import { ApolloLink, Observable, type ApolloClient } from '@apollo/client';
import { refusal } from './errors.js';
import type { Session } from './session.js';

/**
 * A link that sends the session's access token as the Authorization header. Where the answer is a refusal that a refresh
 * may cure, it refreshes and retries, once. The mutations `login` and `refresh` pass untouched, and subscriptions are
 * not retried. It goes before an HttpLink.
 */
export function latchkeyLink(session: Session): ApolloLink {
	return new ApolloLink((operation, forward) => {
		const { operationType } = operation;
		if (operationType === 'mutation' && isLogin(operation)) return forward(operation);
		return new Observable((observer) => {
			let inner: { unsubscribe(): void } | undefined;
			let closed = false;
			const fail = (error: unknown) => observer.error(error);
			function send(token: string | null, retry: boolean): void {
				if (closed) return;
				if (token) operation.setContext({ headers: { ...operation.getContext().headers, authorization: `Bearer ${token}` } });
				let recovering = false;
				inner = forward(operation).subscribe({
					next(result) {
						const reason = retry ? refusal(result, operationType === 'mutation') : null;
						if (!reason) return observer.next(result);
						recovering = true;
						session.recover(token, reason).then((next) => {
							if (next) return send(next, false);
							observer.next(result);
							observer.complete();
						}).catch(fail);
					},
					error: fail,
					complete: () => recovering || observer.complete(),
				});
			}
			void session.accessToken().then((token) => send(token, operationType !== 'subscription'));
			return () => {
				closed = true;
				inner?.unsubscribe();
			};
		});
	});
}

function isLogin({ query }: ApolloLink.Operation): boolean {
	return query.definitions.every(
		(definition) =>
			definition.kind !== 'OperationDefinition' ||
			definition.selectionSet.selections.every((field) => field.kind === 'Field' && /^(login|refresh)$/.test(field.name.value)),
	);
}

/**
 * Keeps the client's cache to one viewer: empties it when the session ends or becomes another user's, in any tab, and
 * asks active queries again after a login. Returns what ends that.
 */
export function followViewer(session: Session, client: ApolloClient): () => void {
	let id = session.state.viewer?.id;
	return session.subscribe(() => {
		const next = session.state.viewer?.id;
		if (next === id) return;
		id = next;
		void (id ? client.resetStore() : client.clearStore()).catch(() => {}); // queries report their errors themselves
	});
}
