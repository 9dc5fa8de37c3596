package db

import (
	"context"
	"errors"
	"time"
)

// A ThrottleRule says how failures delay further attempts. The first Free attempts are not delayed; then the delay starts
// at one second and doubles up to Max. Failures are forgotten after a Window without one.
type ThrottleRule struct {
	Free   int
	Max    time.Duration
	Window time.Duration
}

// Attempt counts an attempt under the key and returns zero, or counts nothing and returns how long to wait. The attempt
// counts as failed until Succeeded is called. Of concurrent attempts, only as many pass as the rule still allows.
func (db *DB) Attempt(ctx context.Context, key string, rule ThrottleRule, now Time) (wait time.Duration, err error) {
	const doubled = `(1000 << CAST(throttles.failures - $3 AS integer))`
	const delay = `CASE WHEN throttles.expires_ms <= $2 OR throttles.failures < $3 THEN 0
		WHEN throttles.failures - $3 >= 20 OR ` + doubled + ` > $5 THEN $5
		ELSE ` + doubled + ` END`
	n, err := db.Exec(ctx, "count an attempt", `
		INSERT INTO throttles (key, failures, delay_ms, next_ms, expires_ms) VALUES ($1, 1, 0, $2, $4)
		ON CONFLICT (key) DO UPDATE SET
			failures = CASE WHEN throttles.expires_ms <= $2 THEN 1 ELSE throttles.failures + 1 END,
			delay_ms = `+delay+`, next_ms = $2 + `+delay+`, expires_ms = $4
		WHERE throttles.delay_ms = 0 OR throttles.next_ms <= $2 OR throttles.expires_ms <= $2`,
		key, now.UnixMilli(), rule.Free, now.Add(rule.Window).UnixMilli(), rule.Max.Milliseconds())
	if err != nil || n > 0 {
		return 0, err
	}
	var next int64
	if err := db.get(ctx, &next, "throttle", `SELECT next_ms FROM throttles WHERE key = $1`, key); err != nil {
		if errors.Is(err, ErrNotFound) { // deleted meanwhile
			return 0, nil
		}
		return 0, err
	}
	return max(time.Duration(next-now.UnixMilli())*time.Millisecond, time.Millisecond), nil
}

// Failures returns how many attempts under the key count as failed.
func (db *DB) Failures(ctx context.Context, key string) (n int, err error) {
	err = db.get(ctx, &n, "failures", `SELECT coalesce(max(failures), 0) FROM throttles WHERE key = $1`, key)
	return n, err
}

// Succeeded uncounts one attempt under the key. Earlier failures still count: a client that can log in to one account
// must not be able to reset the count of its failures at other accounts.
func (db *DB) Succeeded(ctx context.Context, key string, now Time) error {
	_, err := db.Exec(ctx, "uncount an attempt", `
		UPDATE throttles SET failures = failures - 1, delay_ms = 0, next_ms = $2 WHERE key = $1 AND failures > 0`, key, now.UnixMilli())
	return err
}

// ForgiveAttempts deletes the count of all attempts under the key.
func (db *DB) ForgiveAttempts(ctx context.Context, key string) error {
	_, err := db.Exec(ctx, "forgive attempts", `DELETE FROM throttles WHERE key = $1`, key)
	return err
}

// DeleteExpiredThrottles deletes counts that no longer have an effect.
func (db *DB) DeleteExpiredThrottles(ctx context.Context, now Time) error {
	_, err := db.deleteInBatches(ctx, "delete throttles", "throttles", "key", `expires_ms <= $1`, "expires_ms", now.UnixMilli())
	return err
}

// KnownDevice reports whether a stored session of the user began on the device in the network, or there is none at all.
func (db *DB) KnownDevice(ctx context.Context, userID, device, network string) (known bool, err error) {
	err = db.get(ctx, &known, "known device", `
		SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1 AND device = $2 AND login_network = $3)
			OR NOT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1)`, userID, device, network)
	return known, err
}

// LoggedInFrom reports whether a stored session of the user began in the network, wherever it was used since.
func (db *DB) LoggedInFrom(ctx context.Context, userID, network string) (found bool, err error) {
	err = db.get(ctx, &found, "logged in from", `SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1 AND login_network = $2)`, userID, network)
	return found, err
}
