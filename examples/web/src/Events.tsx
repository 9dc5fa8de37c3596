import { useApolloClient, useSubscription } from '@apollo/client/react';
import { useState } from 'react';
import { graphql } from './gql';
import type { EventsSubscription } from './gql/graphql';
import { deviceName, Row, Section, Time } from './ui';

const EVENTS = graphql(`
	subscription Events {
		securityEvents { id kind at ip device detail }
	}
`);

type Event = NonNullable<EventsSubscription['securityEvents']>;

/** Returns the security events of the account since the page was opened, newest first. With each, lists are fetched again. */
export function useEvents(): Event[] {
	const client = useApolloClient();
	const [events, setEvents] = useState<Event[]>([]);
	useSubscription(EVENTS, {
		onData: ({ data }) => {
			const event = data.data?.securityEvents;
			if (!event) return;
			setEvents((before) => [event, ...before].slice(0, 100));
			void client.refetchQueries({ include: 'active' });
		},
	});
	return events;
}

/** Returns the kind for humans: API_TOKEN_CREATED is "API token created". */
export function eventName({ kind }: Event): string {
	return (kind[0] + kind.slice(1).toLowerCase()).replaceAll('_', ' ').replace('Api', 'API');
}

export function Events({ events }: { events: Event[] }) {
	return (
		<Section title="Security events" about="What happens to your account, as it happens: try a login in another browser.">
			<ul>
				{events.map((event) => (
					<Row key={event.id} title={eventName(event)}>
						<Time at={event.at} />, {event.ip}, {deviceName(event.device)}{event.detail && `: ${event.detail}`}
					</Row>
				))}
			</ul>
			{events.length === 0 && <p>Nothing has happened since you opened this page.</p>}
		</Section>
	);
}
