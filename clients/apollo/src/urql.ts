import { makeOperation, type Exchange, type Operation, type OperationResult } from '@urql/core';
import { filter, fromPromise, fromValue, makeSubject, map, merge, mergeMap, pipe, share, takeUntil, type Source } from 'wonka';
import { refusal, type ResponseError } from './errors.js';
import type { Session } from './session.js';

export * from './core.js';

/**
 * An exchange that sends the session's access token as the Authorization header. Where the result is a refusal that a
 * refresh may cure, it refreshes and retries, once; subscriptions are not retried. It goes directly before fetchExchange.
 */
export function latchkeyExchange(session: Session): Exchange {
	return ({ forward }) => (operations$) => {
		const shared$ = pipe(operations$, share);
		const retries = makeSubject<Operation>();

		function until<T>(operation: Operation, source$: Source<T>): Source<T> {
			return pipe(source$, takeUntil(pipe(shared$, filter(({ kind, key }) => kind === 'teardown' && key === operation.key))));
		}

		function send(operation: Operation): Source<Operation> {
			if (operation.kind === 'teardown') return fromValue(operation);
			return until(operation, pipe(fromPromise(session.accessToken()), map((token) => withToken(operation, token, operation.kind === 'subscription'))));
		}

		function receive(result: OperationResult): Source<OperationResult> {
			const { operation, data, error } = result;
			const errors = error?.graphQLErrors as readonly ResponseError[] | undefined;
			const reason = operation.context.latchkeyLast ? null : refusal({ data, errors }, operation.kind === 'mutation');
			if (!reason) return fromValue(result);
			const recovered$ = fromPromise(session.recover(operation.context.latchkeyToken, reason).catch(() => null));
			const refused$ = pipe(recovered$, filter((token) => {
				if (token) retries.next(withToken(operation, token, true));
				return !token;
			}));
			return until(operation, pipe(refused$, map(() => result)));
		}

		return pipe(merge([pipe(shared$, mergeMap(send)), retries.source]), forward, mergeMap(receive));
	};
}

/** Returns the operation with the token; `last`: it is not retried after this. */
function withToken(operation: Operation, token: string | null, last: boolean): Operation {
	const { fetchOptions } = operation.context;
	const options = typeof fetchOptions === 'function' ? fetchOptions() : fetchOptions ?? {};
	const headers = new Headers(options.headers);
	if (token) headers.set('authorization', `Bearer ${token}`);
	const context = { ...operation.context, latchkeyToken: token, latchkeyLast: last, fetchOptions: { ...options, headers: Object.fromEntries(headers) } };
	return makeOperation(operation.kind, operation, context);
}
