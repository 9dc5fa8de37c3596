package db

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

// A WebhookDelivery is a message for one URL, about one event. It is kept for a while after it has ended.
type WebhookDelivery struct {
	ID          string `db:"id" json:"id"`
	EventID     string `db:"event_id" json:"eventId"`
	URL         string `db:"url" json:"url"`
	Type        string `db:"type" json:"type"`
	Body        string `db:"body" json:"-"`
	CreatedAt   Time   `db:"created_at" json:"createdAt"`
	Attempts    int    `db:"attempts" json:"attempts"`
	NextAt      *Time  `db:"next_at" json:"nextAt"` // nil when it has ended
	DeliveredAt *Time  `db:"delivered_at" json:"deliveredAt"`
	FailedAt    *Time  `db:"failed_at" json:"failedAt"` // no further attempts
	Error       string `db:"error" json:"error"`        // of the last attempt
}

// CreateWebhook stores a delivery that is due at once.
func (db *DB) CreateWebhook(ctx context.Context, w *WebhookDelivery) error {
	_, err := db.Exec(ctx, "create webhook", `
		INSERT INTO webhook_deliveries (id, event_id, url, type, body, created_at, next_at) VALUES ($1, $2, $3, $4, $5, $6, $6)`,
		w.ID, w.EventID, w.URL, w.Type, w.Body, w.CreatedAt)
	return err
}

// ClaimWebhook returns a delivery to the URL that is due, and counts an attempt. Other processes leave it alone until the
// time given, when this process must have died. ErrNotFound says that none is due, or that another process was faster.
func (db *DB) ClaimWebhook(ctx context.Context, url string, now, until Time) (*WebhookDelivery, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	w := new(WebhookDelivery)
	// PostgreSQL checks the outer condition again after it has waited for another process that claims the same row.
	err := sqlx.GetContext(ctx, db.writer, w, `
		UPDATE webhook_deliveries SET attempts = attempts + 1, next_at = $3
		WHERE id = (SELECT id FROM webhook_deliveries WHERE url = $1 AND next_at <= $2 ORDER BY next_at LIMIT 1) AND next_at <= $2
		RETURNING *`, url, now, until)
	return w, db.wrap("claim webhook", err)
}

// NextWebhook returns when the next delivery to the URL is due, or ErrNotFound if none waits.
func (db *DB) NextWebhook(ctx context.Context, url string) (Time, error) {
	var next Time
	err := db.get(ctx, &next, "next webhook", `
		SELECT next_at FROM webhook_deliveries WHERE url = $1 AND next_at IS NOT NULL ORDER BY next_at LIMIT 1`, url)
	return next, err
}

// WebhookDelivered records that the attempt succeeded.
func (db *DB) WebhookDelivered(ctx context.Context, w *WebhookDelivery, now Time) error {
	_, err := db.Exec(ctx, "webhook delivered", `
		UPDATE webhook_deliveries SET delivered_at = $2, next_at = NULL, failed_at = NULL, error = '' WHERE id = $1`, w.ID, now)
	return err
}

// WebhookFailed records why the attempt failed. next is the time of another one; nil gives the delivery up. It changes
// nothing if another process has taken the delivery over.
func (db *DB) WebhookFailed(ctx context.Context, w *WebhookDelivery, why string, next *Time, now Time) error {
	var failedAt *Time
	if next == nil {
		failedAt = &now
	}
	_, err := db.Exec(ctx, "webhook failed", `
		UPDATE webhook_deliveries SET error = $3, next_at = $4, failed_at = $5
		WHERE id = $1 AND attempts = $2 AND delivered_at IS NULL`, w.ID, w.Attempts, why, next, failedAt)
	return err
}

// RetryWebhook makes a delivery due now that was given up or waits, with as many attempts as a new one has. It returns
// ErrNotFound for others.
func (db *DB) RetryWebhook(ctx context.Context, id string, now Time) error {
	return db.ExecOne(ctx, "retry webhook", `
		UPDATE webhook_deliveries SET next_at = $2, failed_at = NULL, attempts = 0 WHERE id = $1 AND delivered_at IS NULL`, id, now)
}

// RetryFailedWebhooks is RetryWebhook for all deliveries that were given up. It returns how many.
func (db *DB) RetryFailedWebhooks(ctx context.Context, now Time) (int, error) {
	return db.updateInBatches(ctx, "retry webhooks", "webhook_deliveries", "next_at = $1, failed_at = NULL, attempts = 0", "failed_at IS NOT NULL", now)
}

// WebhookDeliveries lists deliveries, oldest first: all, or those that were given up.
func (db *DB) WebhookDeliveries(ctx context.Context, failed bool, p Page) (PageOf[WebhookDelivery], error) {
	l := Listing[WebhookDelivery]{Op: "webhooks", From: "webhook_deliveries"}
	if failed {
		l.Where = "failed_at IS NOT NULL"
	}
	return l.Page(ctx, db, p)
}

// How long deliveries are kept.
const (
	keepDelivered = 7 * 24 * time.Hour
	keepFailed    = 30 * 24 * time.Hour
)

// DeleteOldWebhooks deletes deliveries that ended long ago, and those to URLs that are no longer used.
func (db *DB) DeleteOldWebhooks(ctx context.Context, now Time) error {
	_, err1 := db.deleteInBatches(ctx, "delete delivered webhooks", "webhook_deliveries", "id", `delivered_at < $1`, "delivered_at", now.Add(-keepDelivered))
	_, err2 := db.deleteInBatches(ctx, "delete failed webhooks", "webhook_deliveries", "id", `failed_at < $1`, "failed_at", now.Add(-keepFailed))
	_, err3 := db.deleteInBatches(ctx, "delete abandoned webhooks", "webhook_deliveries", "id", `next_at < $1`, "next_at", now.Add(-keepFailed))
	return errors.Join(err1, err2, err3)
}
