package webhooks

import "time"

// Holding returns how many messages are in memory.
func (b *Outbox) Holding() (n int) {
	for _, q := range b.queues {
		n += len(q.slots)
	}
	return n
}

// SetPoll changes how often an outbox looks for what other processes have stored; call it before Run.
func (b *Outbox) SetPoll(d time.Duration) {
	for _, q := range b.queues {
		q.poll = d
	}
}
