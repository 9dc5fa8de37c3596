import { useMutation, useQuery } from '@apollo/client/react';
import { graphql } from './gql';
import { deviceName, Failure, Row, Section, Time } from './ui';

const SESSIONS = graphql(`
	query Sessions {
		me { id sessions(last: 100) { nodes { id device ip createdAt lastUsedAt current } } }
	}
`);

const LOG_OUT_DEVICE = graphql(`
	mutation LogOutDevice($id: ID!) {
		revokeSession(input: { id: $id }) { session { id } }
	}
`);

export function Sessions() {
	const { data, error } = useQuery(SESSIONS, { fetchPolicy: 'cache-and-network' });
	const [logOut, { error: failure, loading }] = useMutation(LOG_OUT_DEVICE, {
		update: (cache, result) => void cache.evict({ id: cache.identify(result.data!.revokeSession!.session) }),
		onError: () => {}, // it is shown
	});
	const newestFirst = data?.me?.sessions?.nodes.toReversed() ?? [];
	return (
		<Section title="Sessions" about="Where you are logged in. A device that you log out loses its access at once.">
			<Failure of={error ?? failure} />
			<ul>
				{newestFirst.map(({ id, device, ip, createdAt, lastUsedAt, current }) => (
					<Row
						key={id}
						title={deviceName(device)}
						badge={current && 'this device'}
						action={!current && (
							<button className="danger" disabled={loading} onClick={() => logOut({ variables: { id } })}>
								Log out<span className="hidden"> {deviceName(device)}</span>
							</button>
						)}
					>
						{ip}, since <Time at={createdAt} />, last active <Time at={lastUsedAt} />
					</Row>
				))}
			</ul>
		</Section>
	);
}
