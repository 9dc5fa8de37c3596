import { useSession } from '@latchkey/apollo/react';
import { Failure, Field, useSubmit } from './ui';

const endings: Record<string, string> = {
	LOGGED_OUT: 'You are logged out.',
	MISSING: 'Your session has expired.',
	REFRESH_EXPIRED: 'Your session has expired.',
	REFRESH_REUSED: 'Your session was ended, because someone may have copied it.',
	REVOKED: 'Your session was ended from another device.',
	USER_DISABLED: 'Your account is disabled.',
};

export function Login() {
	const { session, endedBy } = useSession();
	const { failure, pending, submit } = useSubmit((form) => {
		return session.login(String(form.get('username')), String(form.get('password')));
	});
	return (
		<main className="login">
			<form onSubmit={submit}>
				<h1><img src="/key.svg" alt="" />Log in</h1>
				{endedBy && !failure && <p role="status">{endings[endedBy] ?? 'Your session has ended.'}</p>}
				<Failure of={failure} />
				<Field label="User name or e-mail" name="username" autoComplete="username" autoCapitalize="none" required autoFocus />
				<Field label="Password" name="password" type="password" autoComplete="current-password" required />
				<button disabled={pending}>{pending ? 'Logging in…' : 'Log in'}</button>
			</form>
		</main>
	);
}
