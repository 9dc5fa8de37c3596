package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/db"
)

// deliveryTime is how long a command takes at most to send the webhooks of what it has done. A server sends the rest.
const deliveryTime = 3 * time.Second

func deliverWebhooks(ctx context.Context, service *auth.Service) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTime)
	defer cancel()
	service.DeliverWebhooks(ctx)
}

type webhookListCmd struct {
	listFlags
	Failed bool `help:"Only those that were given up."`
}

func (c *webhookListCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	return withDatabase(ctx, s, func(d *db.DB) error {
		l := c.start(io.out, "ID", "TYPE", "EVENT", "URL", "CREATED", "ATTEMPTS", "STATUS", "NEXT", "LAST ERROR")
		err := allPages(func(p db.Page) (db.PageOf[db.WebhookDelivery], error) { return d.WebhookDeliveries(ctx, c.Failed, p) }, func(w *db.WebhookDelivery) string {
			l.row(w, w.ID, w.Type, w.EventID, w.URL, date(&w.CreatedAt), fmt.Sprint(w.Attempts), deliveryStatus(w), date(w.NextAt), cmp.Or(w.Error, "-"))
			return w.ID
		})
		return errors.Join(err, l.end())
	})
}

func deliveryStatus(w *db.WebhookDelivery) string {
	switch {
	case w.DeliveredAt != nil:
		return "delivered"
	case w.FailedAt != nil:
		return "failed"
	}
	return "waiting"
}

var errNoWebhooks = &usageError{errors.New("LATCHKEY_WEBHOOK_URL is not set: no webhooks are sent")}

type webhookRetryCmd struct {
	IDs    []string `arg:"" optional:"" name:"id" help:"IDs: see webhook list."`
	Failed bool     `help:"All that were given up."`
}

func (c *webhookRetryCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	switch {
	case len(s.Webhooks.URLs) == 0:
		return errNoWebhooks
	case (len(c.IDs) > 0) == c.Failed:
		return &usageError{errors.New("name the IDs of deliveries, or use --failed for all that were given up")}
	}
	p, err := s.parts(ctx, io)
	if err != nil {
		return err
	}
	defer p.DB.Close()
	defer deliverWebhooks(ctx, p.Auth)
	if c.Failed {
		n, err := p.DB.RetryFailedWebhooks(ctx, db.TimeOf(p.Now()))
		return printed(io.out, err, fmt.Sprintf("%d deliveries are sent again", n))
	}
	for _, id := range c.IDs {
		err := p.DB.RetryWebhook(ctx, id, db.TimeOf(p.Now()))
		if errors.Is(err, db.ErrNotFound) {
			return fmt.Errorf("there is no delivery %q that was not delivered: see %s", id, s.program.command("webhook list"))
		}
		if err := printed(io.out, err, id+" is sent again"); err != nil {
			return err
		}
	}
	return nil
}

type webhookTestCmd struct{}

func (webhookTestCmd) Run(ctx context.Context, s *Settings, io stdio) error {
	if len(s.Webhooks.URLs) == 0 {
		return errNoWebhooks
	}
	p, err := s.parts(ctx, io)
	if err != nil {
		return err
	}
	defer p.DB.Close()
	return p.Auth.TestWebhooks(ctx, func(url, outcome string, err error) {
		if err != nil {
			outcome = "failed: " + err.Error()
		}
		fmt.Fprintf(io.out, "%s: %s\n", printable(url), printable(outcome))
	})
}
