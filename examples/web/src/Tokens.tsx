import { useMutation, useQuery } from '@apollo/client/react';
import { latchkeyErrors } from '@latchkey/apollo';
import { useViewer } from '@latchkey/apollo/react';
import { useState } from 'react';
import { graphql } from './gql';
import { Failure, Field, Row, Section, Time, useSubmit } from './ui';

const TOKENS = graphql(`
	query Tokens {
		me { id apiTokens(last: 100) { nodes { id name scopes createdAt expiresAt lastUsedAt } } }
	}
`);

const CREATE_TOKEN = graphql(`
	mutation CreateToken($input: CreateApiTokenInput!) {
		createApiToken(input: $input) { token apiToken { id } }
	}
`);

const REVOKE_TOKEN = graphql(`
	mutation RevokeToken($id: ID!) {
		revokeApiToken(input: { id: $id }) { apiToken { id } }
	}
`);

const REAUTHENTICATE = graphql(`
	mutation Reauthenticate($password: String!) {
		reauthenticate(input: { password: $password }) { authenticatedAt }
	}
`);

export function Tokens() {
	const { data, error } = useQuery(TOKENS, { fetchPolicy: 'cache-and-network' });
	const [revoke, { error: failure, loading }] = useMutation(REVOKE_TOKEN, {
		update: (cache, result) => void cache.evict({ id: cache.identify(result.data!.revokeApiToken!.apiToken) }),
		onError: () => {}, // it is shown
	});
	const newestFirst = data?.me?.apiTokens?.nodes.toReversed() ?? [];
	return (
		<Section title="API tokens" about="For programs. They act as you, within the scopes that you give them, until you revoke them.">
			<NewToken />
			<Failure of={error ?? failure} />
			<ul>
				{newestFirst.map(({ id, name, scopes, expiresAt, lastUsedAt }) => (
					<Row
						key={id}
						title={name}
						action={(
							<button className="danger" disabled={loading} onClick={() => revoke({ variables: { id } })}>
								Revoke<span className="hidden"> {name}</span>
							</button>
						)}
					>
						{scopes.map((scope) => <code key={scope}>{scope}</code>)}
						{' '}expires: <Time at={expiresAt} />, last used: <Time at={lastUsedAt} />
					</Row>
				))}
			</ul>
			{data && newestFirst.length === 0 && <p>You have no API tokens.</p>}
		</Section>
	);
}

const DAY = 24 * 60 * 60 * 1000;

function NewToken() {
	const viewer = useViewer();
	const [token, setToken] = useState<string | null>(null);
	const [create] = useMutation(CREATE_TOKEN, { refetchQueries: [TOKENS], awaitRefetchQueries: true, fetchPolicy: 'no-cache' });
	const [reauthenticate] = useMutation(REAUTHENTICATE);
	const { failure, pending, submit } = useSubmit(async (form) => {
		const password = form.get('password');
		if (password) await reauthenticate({ variables: { password: String(password) } });
		const days = Number(form.get('days'));
		const expiresAt = days ? new Date(Date.now() + days * DAY).toISOString() : null;
		const input = { name: String(form.get('name')), scopes: form.getAll('scope').map(String), expiresAt };
		const { data } = await create({ variables: { input } });
		setToken(data!.createApiToken!.token);
	});
	const needsPassword = latchkeyErrors(failure).some(({ code }) => ['REAUTHENTICATION_REQUIRED', 'INVALID_CREDENTIALS'].includes(code));

	if (token) return <ShownOnce token={token} done={() => setToken(null)} />;
	return (
		<form className="card" onSubmit={submit}>
			<div className="fields">
				<Field label="Name" name="name" placeholder="deploy script" required maxLength={200} />
				<label>
					Expires
					<select name="days" defaultValue="90">
						<option value="30">in 30 days</option>
						<option value="90">in 90 days</option>
						<option value="">never</option>
					</select>
				</label>
			</div>
			{viewer!.scopes.length > 0 && (
				<fieldset>
					<legend>Scopes</legend>
					{viewer!.scopes.map((scope) => (
						<label key={scope}><input type="checkbox" name="scope" value={scope} /><code>{scope}</code></label>
					))}
				</fieldset>
			)}
			{needsPassword && (
				<Field label="Your password, again" name="password" type="password" autoComplete="current-password" required autoFocus />
			)}
			<Failure of={failure} />
			<button disabled={pending}>Create token</button>
		</form>
	);
}

function ShownOnce({ token, done }: { token: string; done: () => void }) {
	const [copied, setCopied] = useState(false);
	return (
		<div className="card" role="alert">
			<p>Copy the token now. It is not shown again.</p>
			<output>{token}</output>
			<button autoFocus onClick={() => navigator.clipboard.writeText(token).then(() => setCopied(true), () => {})}>
				{copied ? 'Copied' : 'Copy'}
			</button>{' '}
			<button className="quiet" onClick={done}>Done</button>
		</div>
	);
}
