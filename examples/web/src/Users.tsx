import { useQuery } from '@apollo/client/react';
import { useState } from 'react';
import { graphql } from './gql';
import { Failure, Field, Row, Section, Time, useSettled } from './ui';

const USERS = graphql(`
	query Users($search: String, $after: String) {
		users(first: 20, search: $search, after: $after) {
			totalCount
			edges { node { id username name email roles lastLoginAt disabledAt } }
			pageInfo { hasNextPage endCursor }
		}
	}
`);

export function Users() {
	const [search, setSearch] = useState('');
	const { data, previousData, error, fetchMore } = useQuery(USERS, { variables: { search: useSettled(search) || null } });
	const users = (data ?? previousData)?.users; // the last result stays while the next is fetched
	const shown = users?.edges.length ?? 0;
	const more = () => fetchMore({ variables: { after: users!.pageInfo.endCursor } });
	return (
		<Section title="Users">
			<Field
				label="Search"
				type="search"
				placeholder="user name, e-mail or name"
				value={search}
				onChange={(event) => setSearch(event.target.value)}
			/>
			<Failure of={error} />
			<p role="status" className="about">{users && `${shown} of ${users.totalCount} users`}</p>
			<ul>
				{users?.edges.map(({ node: { id, username, name, email, roles, lastLoginAt, disabledAt } }) => (
					<Row key={id} title={username} badge={disabledAt ? 'disabled' : roles.join(', ')}>
						{[name, email].filter(Boolean).map((text) => `${text}, `)}last login: <Time at={lastLoginAt} />
					</Row>
				))}
			</ul>
			{users?.pageInfo.hasNextPage && <button onClick={more}>Show more</button>}
		</Section>
	);
}
