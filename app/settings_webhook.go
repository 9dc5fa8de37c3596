package app

import (
	"errors"
	"os"

	"github.com/latchkey/latchkey/auth"
	"github.com/latchkey/latchkey/auth/webhooks"
)

// webhookSecretEnv is the variable with the secret of webhooks.
const webhookSecretEnv = "LATCHKEY_WEBHOOK_SECRET"

// WebhookSettings are those of webhooks. Commands have them too, since they change accounts as the server does.
type WebhookSettings struct {
	URLs         []string `name:"webhook-url" env:"LATCHKEY_WEBHOOK_URL" placeholder:"URL" help:"Where to send what happens to accounts, such as https://app.example.com/webhooks; several with commas. See docs/webhooks.md."`
	Secret       string   `name:"webhook-secret" env:"LATCHKEY_WEBHOOK_SECRET" placeholder:"SECRET" help:"Signs webhooks: whsec_ and 24 to 64 bytes in base64; two with a comma while it is changed. Only in the environment."`
	Events       []string `name:"webhook-events" env:"LATCHKEY_WEBHOOK_EVENTS" placeholder:"TYPE" help:"Types of webhooks, such as user.created, user.* or *; several with commas. Default: what changes accounts, sessions and credentials."`
	AllowPrivate bool     `name:"webhook-allow-private" env:"LATCHKEY_WEBHOOK_ALLOW_PRIVATE" help:"Let webhooks use http, and addresses of this machine and of private networks. Then an error in a URL, or the owner of its host name, can make the server send requests there."`
}

// validate rejects settings that are malformed, have no effect or contradict each other.
func (s *WebhookSettings) validate() error {
	if len(s.URLs) == 0 {
		if s.Secret != "" || s.Events != nil || s.AllowPrivate {
			return errors.New("--webhook-events (LATCHKEY_WEBHOOK_EVENTS), --webhook-allow-private (LATCHKEY_WEBHOOK_ALLOW_PRIVATE) and LATCHKEY_WEBHOOK_SECRET do nothing without --webhook-url (LATCHKEY_WEBHOOK_URL)")
		}
		return nil
	}
	if s.Secret == "" {
		return errors.New("--webhook-url (LATCHKEY_WEBHOOK_URL) needs LATCHKEY_WEBHOOK_SECRET: create a secret with `echo whsec_$(openssl rand -base64 32)`")
	}
	if err := s.config().Validate(); err != nil {
		return err
	}
	return webhooks.CheckKinds(s.Events, auth.EventKinds)
}

// checkFlags rejects the secret in a flag, which other users of the machine can read.
func (s *WebhookSettings) checkFlags() error {
	if s.Secret != os.Getenv(webhookSecretEnv) {
		return errors.New("all users of this machine can read a secret in a flag, in the list of processes: set LATCHKEY_WEBHOOK_SECRET in the environment instead")
	}
	return nil
}

func (s *WebhookSettings) config() webhooks.Config {
	return webhooks.Config{URLs: s.URLs, Secret: s.Secret, Events: s.Events, AllowPrivate: s.AllowPrivate}
}
