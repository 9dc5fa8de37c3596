package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/emersion/go-smtp"
	gomail "github.com/wneessen/go-mail"
)

func TestEveryMailHasATextInEachLanguageAndItsLinkIsAButton(t *testing.T) {
	templates, err := NewTemplates(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := Data{App: "Acme & Co", Link: "https://example.com/x#ll_1.2", Code: "BCDFGHJK", Lifetime: time.Hour, Username: "ann", Email: "a@b.test", Device: "Firefox on Linux", IP: "192.0.2.1", At: time.Now(), Detail: "changed"}
	for _, kind := range Kinds {
		english, err1 := templates.Render(kind, "en-GB", d)
		german, err2 := templates.Render(kind, "de-AT", d)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if english.Subject == german.Subject || english.Text == german.Text {
			t.Errorf("%s: English and German are the same", kind)
		}
		if !strings.Contains(english.HTML, "Acme &amp; Co") || strings.Contains(english.HTML, "Acme & Co") {
			t.Errorf("%s: the HTML is not escaped: %s", kind, english.HTML)
		}
		if strings.Contains(english.Text, d.Link) && !strings.Contains(english.HTML, `<a href="`+d.Link+`"`) {
			t.Errorf("%s: the link is no button: %s", kind, english.HTML)
		}
		if strings.Contains(english.Text, "<no value>") || strings.Contains(english.Text, "%!") {
			t.Errorf("%s: %s", kind, english.Text)
		}
	}
}

func TestAProgramsTemplatesReplaceAndTranslate(t *testing.T) {
	own := fstest.MapFS{
		"fr/login.txt":    {Data: []byte("Subject: Connexion\n\nBonjour {{.Username}}\n")},
		"en/register.txt": {Data: []byte("Subject: Mine\n\nMy text\n")}, "en/register.html": {Data: []byte("<p>{{.App}}</p>")},
	}
	templates, err := NewTemplates(own)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, locale, subject, html string }{
		{"login", "fr-CA", "Connexion", "Bonjour &lt;b&gt;"},
		{"register", "fr", "Mine", "<p>Acme</p>"}, // no French one: the English
		{"register", "de", "Registrierung bei Acme abschließen", "Registrierung"},
		{"login", "ja", "Log in to Acme", "Log in"},
	} {
		m, err := templates.Render(c.kind, c.locale, Data{App: "Acme", Username: "<b>"})
		if err != nil || m.Subject != c.subject || !strings.Contains(m.HTML, c.html) {
			t.Errorf("%s %s: %v %+v", c.kind, c.locale, err, m)
		}
	}
}

func TestADamagedTemplateStopsTheStartAndIsNamed(t *testing.T) {
	for want, own := range map[string]fstest.MapFS{
		"en/login.txt":      {"en/login.txt": {Data: []byte("Subject: x\n\n{{.Nothing}}")}},
		"fr/login.html":     {"fr/login.txt": {Data: []byte("Subject: x\n\nx")}, "fr/login.html": {Data: []byte("{{")}},
		`line "Subject: …"`: {"en/login.txt": {Data: []byte("no subject")}},
		`"not a language"`:  {"not a language/login.txt": {Data: []byte("Subject: x\n\nx")}},
	} {
		if _, err := NewTemplates(own); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestOnlySMTPURLsThatSaySoDoWithoutTLS(t *testing.T) {
	for url, ok := range map[string]bool{
		"smtp://u:p@mail.example.com:587": true, "smtps://mail.example.com": true, "smtp://127.0.0.1:1025": true, "smtp://relay:25?tls=off": true,
		"": false, "mail.example.com": false, "http://mail.example.com": false, "smtp://": false, "smtp://h:x": false, "smtp://h?tls=maybe": false,
		"smtps://h?tls=off": false, "smtp://h/path": false, "smtp://h:99999": false,
	} {
		if _, err := ParseURL(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := ParseURL("smtp://u:secret%@h"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("an error with the password: %v", err)
	}
}

// A server counts the mails that it gets.
type server struct{ mails atomic.Int32 }

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{s}, nil }

type session struct{ *server }

func (*session) Reset()                               {}
func (*session) Logout() error                        { return nil }
func (*session) Mail(string, *smtp.MailOptions) error { return nil }
func (*session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *session) Data(r io.Reader) error {
	s.mails.Add(1)
	_, err := io.Copy(io.Discard, r)
	return err
}

// A network attacker who removes STARTTLS must get neither the mail nor the password; with TLS, only a server with a valid
// certificate does. T216.
func TestMailIsNotSentWithoutTLSToAnotherMachine(t *testing.T) {
	certificate, roots := selfSigned(t)
	for name, c := range map[string]struct {
		url       string
		starttls  bool
		trusted   bool
		delivered bool
	}{
		"STARTTLS removed":      {"smtp://u:p@mail.example.com", false, true, false},
		"another certificate":   {"smtp://u:p@mail.example.com", true, false, false},
		"STARTTLS":              {"smtp://mail.example.com", true, true, true},
		"TLS turned off":        {"smtp://mail.example.com?tls=off", false, true, true},
		"plain text for smtps:": {"smtps://u:p@mail.example.com", false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			backend := new(server)
			s := smtp.NewServer(backend)
			s.Domain = "mail.example.com"
			if c.starttls {
				s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}}
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = s.Serve(listener) }()
			defer s.Close()
			to, err := ParseURL(c.url)
			if err != nil {
				t.Fatal(err)
			}
			config := &tls.Config{ServerName: "mail.example.com", MinVersion: tls.VersionTLS12}
			if c.trusted {
				config.RootCAs = roots
			}
			to.options = append(to.options, gomail.WithTLSConfig(config), gomail.WithDialContextFunc(func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
			}))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err = to.Send(&mail.Address{Address: "no-reply@example.com"})(ctx, &Message{ID: "mail_1", To: "ann@example.org", Subject: "s", Text: "t", HTML: "h"})
			if (err == nil) != c.delivered || (backend.mails.Load() == 1) != c.delivered {
				t.Errorf("delivered: %d, %v", backend.mails.Load(), err)
			}
			if err != nil && errors.Is(err, ErrRejected) {
				t.Errorf("a mail that may be sent later was given up: %v", err)
			}
		})
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example.com"}, DNSNames: []string{"mail.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
