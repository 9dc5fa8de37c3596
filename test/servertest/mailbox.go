package servertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// A Mailbox is an SMTP server on a loopback address, which keeps what it receives.
type Mailbox struct {
	// Refuse, if not nil, decides whether a recipient is refused, such as with &smtp.SMTPError{Code: 550}. Set it before mail
	// is sent.
	Refuse func(recipient string) error

	t    testing.TB
	addr string

	mu    sync.Mutex
	mails []*Mail
	read  map[*Mail]bool
}

// A Mail is a received message.
type Mail struct {
	From, To, Subject string
	Header            mail.Header
	Text, HTML        string
}

// NewMailbox starts an SMTP server until the test ends.
func NewMailbox(t testing.TB) *Mailbox {
	t.Helper()
	m := &Mailbox{t: t, read: map[*Mail]bool{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.addr = listener.Addr().String()
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }))
	server.Domain, server.AllowInsecureAuth = "localhost", true
	go func() { _ = server.Serve(listener) }() // returns when the server is closed
	t.Cleanup(func() { server.Close() })
	return m
}

// Use has a server send its mail here.
func (m *Mailbox) Use(s *Settings) {
	s.Accounts.SMTPURL, s.Accounts.MailFrom = "smtp://"+m.addr, "Example <no-reply@example.com>"
}

// A delivery is a connection of a client.
type delivery struct {
	box  *Mailbox
	from string
	to   string
}

// Reset implements smtp.Session.
func (d *delivery) Reset() { d.from, d.to = "", "" }

// Logout implements smtp.Session.
func (*delivery) Logout() error { return nil }

// Mail implements smtp.Session.
func (d *delivery) Mail(from string, _ *smtp.MailOptions) error {
	d.from = from
	return nil
}

// Rcpt implements smtp.Session.
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to = to
	if d.box.Refuse != nil {
		return d.box.Refuse(to)
	}
	return nil
}

// Data implements smtp.Session.
func (d *delivery) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	received, err := parseMail(body)
	if err != nil {
		return fmt.Errorf("mailbox: %w", err)
	}
	received.From, received.To = d.from, d.to
	d.box.mu.Lock()
	defer d.box.mu.Unlock()
	d.box.mails = append(d.box.mails, received)
	return nil
}

func parseMail(body []byte) (*Mail, error) {
	message, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	m := &Mail{Header: message.Header}
	if m.Subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	_, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return nil, fmt.Errorf("content type: %w", err)
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, fmt.Errorf("part: %w", err)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return nil, fmt.Errorf("part: %w", err)
		}
		content := strings.ReplaceAll(string(text), "\r\n", "\n")
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			m.HTML = content
		} else {
			m.Text = content
		}
	}
}

// All are the mails to an address; "" is any.
func (m *Mailbox) All(to string) []*Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []*Mail
	for _, received := range m.mails {
		if to == "" || received.To == to {
			found = append(found, received)
		}
	}
	return found
}

// Next waits for the next mail to an address that Next has not returned before.
func (m *Mailbox) Next(to string) *Mail {
	m.t.Helper()
	var next *Mail
	await(m.t, "no mail to "+to, func() bool {
		for _, received := range m.All(to) {
			m.mu.Lock()
			old := m.read[received]
			m.mu.Unlock()
			if !old {
				next = received
				return true
			}
		}
		return false
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read[next] = true
	return next
}

// Quiet waits until a server has no mail left to send.
func (s *Server) Quiet() {
	s.t.Helper()
	await(s.t, "mail is left to send", func() bool {
		next, err := s.DB.NextMailAt(s.t.Context())
		return err == nil && next == nil
	})
}

var linkInMail = regexp.MustCompile(`https?://\S+#(\S+)`)

// Link is the URL in the mail.
func (m *Mail) Link() string { return linkInMail.FindString(m.Text) }

// Token is that of the link in the mail.
func (m *Mail) Token() string {
	found := linkInMail.FindStringSubmatch(m.Text)
	if found == nil {
		return ""
	}
	return found[1]
}

// Code is the code in the mail.
func (m *Mail) Code() string {
	return regexp.MustCompile(`(?m)^[BCDFGHJKLMNPQRSTVWXZ]{8}$`).FindString(m.Text)
}
