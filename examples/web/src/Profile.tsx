import { useQuery } from '@apollo/client/react';
import { graphql } from './gql';
import { Failure, Section, Time } from './ui';

const PROFILE = graphql(`
	query Profile {
		me { id username name email roles scopes createdAt lastLoginAt }
	}
`);

export function Profile() {
	const { data, error } = useQuery(PROFILE);
	const me = data?.me;
	return (
		<Section title={me?.name ?? me?.username ?? 'Profile'}>
			<Failure of={error} />
			{me && (
				<dl>
					<dt>User name</dt><dd>{me.username}</dd>
					<dt>E-mail</dt><dd>{me.email ?? 'none'}</dd>
					<dt>Roles</dt><dd>{me.roles.join(', ')}</dd>
					<dt>Scopes</dt><dd>{me.scopes.map((scope) => <code key={scope}>{scope}</code>)}{me.scopes.length === 0 && 'none'}</dd>
					<dt>Member since</dt><dd><Time at={me.createdAt} /></dd>
					<dt>Last login</dt><dd><Time at={me.lastLoginAt} /></dd>
				</dl>
			)}
		</Section>
	);
}
