// Package webhooks tells other programs by HTTP what happens to accounts, as Standard Webhooks describes
// (https://www.standardwebhooks.com).
//
// A delivery is a row that is written in the transaction of the event it is about, so that neither exists without the
// other. Any process sends it, at least once, until the receiver has accepted it or it is given up. The package does not
// know callers, and decides neither what is an event nor who may read one.
package webhooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey/latchkey/db"
	"github.com/latchkey/latchkey/internal/netaddr"
)

// A Config says which messages are sent, and where. Its zero value sends none.
type Config struct {
	URLs         []string // of the receivers; each gets every message
	Secret       string   // whsec_…; two while the secret is changed, separated by a comma
	Events       []string // types, such as user.created or user.*; DefaultEvents if nil
	AllowPrivate bool     // also http, and addresses that are not of the Internet
}

// Options are the dependencies of an Outbox. All are required, but for Resolver.
type Options struct {
	DB       *db.DB
	Now      func() time.Time
	Idle     func() bool // reports whether the database is to be left alone when nothing is to be sent
	Log      *slog.Logger
	Resolver *net.Resolver // of host names; that of the system if nil
}

// An Outbox stores messages and sends them. Its methods may be called concurrently.
type Outbox struct {
	Options
	config  Config
	signers []*standardwebhooks.Webhook
	queues  []*queue // one for each URL
	client  *client
}

// New makes an Outbox. Errors are about the configuration, and do not repeat the secret.
func New(c Config, o Options) (*Outbox, error) {
	if c.Events == nil {
		c.Events = DefaultEvents
	}
	b := &Outbox{Options: o, config: c}
	if len(c.URLs) == 0 {
		return b, nil
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	for secret := range strings.SplitSeq(c.Secret, ",") {
		signer, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return nil, errBadSecret
		}
		b.signers = append(b.signers, signer)
	}
	b.client = newClient(c.AllowPrivate, o.Resolver)
	for _, u := range c.URLs {
		b.queues = append(b.queues, newQueue(b, u))
	}
	return b, nil
}

var errBadSecret = errors.New("the secret of webhooks (LATCHKEY_WEBHOOK_SECRET) must be whsec_ and 24 to 64 bytes in base64, or two such secrets with a comma in between; create one with `echo whsec_$(openssl rand -base64 32)`")

// Validate returns an error if the configuration is malformed.
func (c Config) Validate() error {
	for _, u := range c.URLs {
		if err := checkURL(u, c.AllowPrivate); err != nil {
			return err
		}
	}
	if err := CheckEvents(c.Events); err != nil {
		return err
	}
	secrets := strings.Split(c.Secret, ",")
	if len(secrets) > 2 {
		return errBadSecret
	}
	for _, secret := range secrets {
		if !isSecret(secret) {
			return errBadSecret
		}
	}
	return nil
}

// checkURL rejects URLs that could not be sent to. A host name is resolved only when it is used, and checked again then.
func checkURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.Fragment != "" || u.User != nil {
		return errors.New("a webhook's URL (LATCHKEY_WEBHOOK_URL) must be such as https://app.example.com/webhooks, without a user, password or fragment")
	}
	if allowPrivate {
		return nil
	}
	if u.Scheme != "https" {
		return fmt.Errorf("the webhook's URL for %s (LATCHKEY_WEBHOOK_URL) must begin with https://; for tests, see LATCHKEY_WEBHOOK_ALLOW_PRIVATE", u.Host)
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err == nil && !netaddr.Public(addr) || strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), "localhost") {
		return fmt.Errorf("the webhook's URL for %s (LATCHKEY_WEBHOOK_URL) is of this machine or a private network, which is allowed only with LATCHKEY_WEBHOOK_ALLOW_PRIVATE", u.Host)
	}
	return nil
}

// Enqueue stores the messages about an event in its transaction.
func (b *Outbox) Enqueue(ctx context.Context, tx *db.DB, e *db.Event) error {
	if len(b.queues) == 0 {
		return nil
	}
	kind := TypeOf(e.Kind)
	if !slices.ContainsFunc(b.config.Events, func(pattern string) bool { return matches(pattern, kind) }) {
		return nil
	}
	body, err := json.Marshal(message{Type: kind, Timestamp: e.At.UTC(), Data: &messageData{e.ID, e.Kind, e.UserID, e.ActorID, e.ObjectID}})
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	for _, q := range b.queues {
		w := &db.WebhookDelivery{ID: db.NewID(db.DeliveryID), EventID: e.ID, URL: q.url, Type: kind, Body: string(body), CreatedAt: e.At}
		if err := tx.CreateWebhook(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// Wake has messages sent that were stored in a transaction that has been committed.
func (b *Outbox) Wake() {
	for _, q := range b.queues {
		q.wake()
	}
}

// Run sends messages until the context ends. Receivers do not wait for each other.
func (b *Outbox) Run(ctx context.Context) { b.each(func(q *queue) { q.run(ctx) }) }

// Deliver sends the messages that are due now, and returns when each was tried, or when the context ends.
func (b *Outbox) Deliver(ctx context.Context) {
	b.each(func(q *queue) {
		q.sendDue(ctx)
		q.sending.Wait()
	})
}

// Counts returns how many attempts of this process had each outcome: delivered, retried or failed.
func (b *Outbox) Counts() map[string]uint64 {
	if len(b.queues) == 0 {
		return nil
	}
	counts := map[string]uint64{"delivered": 0, "retried": 0, "failed": 0}
	for _, q := range b.queues {
		counts["delivered"] += q.delivered.Load()
		counts["retried"] += q.retried.Load()
		counts["failed"] += q.failed.Load()
	}
	return counts
}
