package webhooks

import "time"

// SetPoll changes how often an outbox looks for what other processes have stored; call it before Run.
func (b *Outbox) SetPoll(d time.Duration) {
	for _, q := range b.queues {
		q.poll = d
	}
}
