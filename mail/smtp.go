package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	smtp "github.com/wneessen/go-mail"
)

// smtpTimeout bounds each step of a delivery.
const smtpTimeout = 15 * time.Second

// A Server is the address of an SMTP server and how to use it.
type Server struct {
	host    string
	options []smtp.Option
}

// ParseURL parses the URL of an SMTP server: smtp://USER:PASSWORD@HOST:PORT, with STARTTLS, or smtps://…, with TLS from the
// start. The default ports are 587 and 465. STARTTLS is required, except on a loopback address, or with ?tls=off.
func ParseURL(text string) (*Server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errors.New("must be smtp://USER:PASSWORD@HOST:PORT or smtps://USER:PASSWORD@HOST:PORT") // err may contain the password
	}
	s := &Server{host: u.Hostname(), options: []smtp.Option{smtp.WithTimeout(smtpTimeout)}}
	port, tls := 0, u.Query().Get("tls")
	switch {
	case u.Scheme == "smtps" && u.RawQuery == "":
		port, s.options = 465, append(s.options, smtp.WithSSL())
	case u.Scheme == "smtp" && u.RawQuery == "" && isLoopback(s.host):
		port, s.options = 587, append(s.options, smtp.WithTLSPolicy(smtp.TLSOpportunistic))
	case u.Scheme == "smtp" && u.RawQuery == "":
		port, s.options = 587, append(s.options, smtp.WithTLSPolicy(smtp.TLSMandatory))
	case u.Scheme == "smtp" && tls == "off" && u.RawQuery == "tls=off":
		port, s.options = 25, append(s.options, smtp.WithTLSPolicy(smtp.NoTLS))
	default:
		return nil, errors.New("must begin with smtp:// or smtps://, and have no parameters but ?tls=off with smtp://")
	}
	if u.Port() != "" {
		if port, err = strconv.Atoi(u.Port()); err != nil {
			return nil, errors.New("must have a number as its port")
		}
	}
	s.options = append(s.options, smtp.WithPort(port))
	if u.User != nil {
		password, _ := u.User.Password()
		s.options = append(s.options, smtp.WithSMTPAuth(smtp.SMTPAuthAutoDiscover), smtp.WithUsername(u.User.Username()), smtp.WithPassword(password))
	}
	if _, err := smtp.NewClient(s.host, s.options...); err != nil {
		return nil, fmt.Errorf("is not valid: %w", err)
	}
	return s, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Send returns a function that sends messages from the address, which may have a display name (RFC 5322, section 3.4).
func (s *Server) Send(from *mail.Address) Send {
	return func(ctx context.Context, m *Message) error {
		msg, err := build(from, m)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRejected, err)
		}
		client, err := smtp.NewClient(s.host, s.options...)
		if err != nil {
			return fmt.Errorf("mail: %w", err)
		}
		err = client.DialAndSendWithContext(ctx, msg)
		if failed, ok := errors.AsType[*smtp.SendError](err); ok && !failed.IsTemp() && failed.ErrorCode() >= 500 {
			return fmt.Errorf("%w: %w", ErrRejected, err)
		}
		if err != nil {
			return fmt.Errorf("mail: %w", err)
		}
		return nil
	}
}

func build(from *mail.Address, m *Message) (*smtp.Msg, error) {
	msg := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	_, domain, _ := strings.Cut(from.Address, "@")
	msg.SetMessageIDWithValue(m.ID + "@" + domain)
	msg.SetDate()
	msg.Subject(m.Subject)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answers by machines
	msg.SetBodyString(smtp.TypeTextPlain, m.Text)
	msg.AddAlternativeString(smtp.TypeTextHTML, m.HTML)
	err := msg.To(m.To)
	return msg, err //nolint:wrapcheck // wrapped by the caller
}
