package webhooks_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey/latchkey/auth/webhooks"
	"github.com/latchkey/latchkey/db/dbtest"
)

// A typing error in a URL, or a program that chooses it, must not make the server send requests to itself, its network or
// the cloud's metadata service. T221.
func TestURLsOfPrivateAddressesAreRefused(t *testing.T) {
	for _, u := range []string{
		"http://receiver.example.com", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1", "https://169.254.169.254/latest/meta-data", "https://[fd00:ec2::254]/",
		"https://[::ffff:127.0.0.1]/", "https://[::ffff:169.254.169.254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://0.0.0.0/", "https://100.64.0.1/", "https://localhost/", "https://LOCALHOST.:8443/",
		"https://user:password@receiver.example.com/", "https://receiver.example.com/#x", "https:///hooks", "ftp://receiver.example.com", "receiver.example.com", "",
	} {
		c := webhooks.Config{URLs: []string{u}, Secret: secret}
		if err := c.Validate(); err == nil {
			t.Errorf("%s is accepted", u)
		}
	}
	c := webhooks.Config{URLs: []string{"https://receiver.example.com:8443/hooks?tenant=1", "https://1.1.1.1/"}, Secret: secret}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c = webhooks.Config{URLs: []string{"http://127.0.0.1:9000"}, Secret: secret, AllowPrivate: true}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

// The same by the name: its owner decides to which address it resolves, at each connection. T222, T224.
func TestANameThatResolvesToAPrivateAddressIsNotConnectedTo(t *testing.T) {
	var connections atomic.Int32
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	url := dbtest.SQLite(t)
	s := &site{t: t, db: dbtest.Open(t, url), url: url, log: new(lines)}
	for i, address := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "169.254.169.254", "64:ff9b::7f00:1", "fd00:ec2::254", "10.255.255.1", "0.0.0.0", "100.64.0.1"} {
		u := fmt.Sprintf("https://receiver%d.example.com:%s", i, port)
		b := s.outbox([]string{u}, func(c *webhooks.Config, o *webhooks.Options) {
			c.AllowPrivate, o.Resolver = false, resolverTo(t, address)
		})
		s.happens(b, "LOGIN", 1)
		b.Deliver(t.Context())
		if w := s.deliveries()[i]; w.Attempts != 1 || !strings.Contains(w.Error, "LATCHKEY_WEBHOOK_ALLOW_PRIVATE") {
			t.Errorf("%s: got %+v", address, w)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections", n)
	}
}

// resolverTo resolves every name to the address.
func resolverTo(t *testing.T, address string) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer, err := resolved(buffer[:n], net.ParseIP(address)); err == nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func resolved(query []byte, ip net.IP) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	q := m.Questions[0]
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	if v4 := ip.To4(); v4 != nil && q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte(v4)}}}
	}
	if q.Type == dnsmessage.TypeAAAA {
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte(ip.To16())}}}
	}
	return m.Pack()
}

// A receiver that was taken over must not be able to send the server elsewhere. T223.
func TestARedirectIsNotFollowed(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		inside := newReceiver(t, http.StatusOK)
		for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
			outside := httptest.NewServer(http.RedirectHandler(inside.URL, status))
			defer outside.Close()
			b := s.outbox([]string{outside.URL})
			s.happens(b, "LOGIN", 1)
			b.Deliver(t.Context())
		}
		for _, w := range s.deliveries() {
			if w.DeliveredAt != nil || !strings.HasPrefix(w.Error, "HTTP status 30") {
				t.Errorf("got %+v", w)
			}
		}
		if n, _ := inside.got(); n != 0 {
			t.Errorf("%d requests were redirected", n)
		}
	})
}

// A proxy would connect to addresses that are refused here. T221.
func TestTheProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := newReceiver(t, http.StatusOK)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	each(t, func(t *testing.T, s *site) {
		b := s.outbox([]string{"http://receiver.invalid/"})
		s.happens(b, "LOGIN", 1)
		b.Deliver(t.Context())
		if n, _ := proxy.got(); n != 0 {
			t.Error("the proxy got the message")
		}
	})
}

// What is signed cannot be changed, and cannot be sent again later. T225, T226.
func TestAForgedOrReplayedMessageIsNotVerified(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		var header http.Header
		var body string
		receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			header, body = r.Header.Clone(), string(data)
		}))
		defer receiver.Close()
		b := s.outbox([]string{receiver.URL})
		s.happens(b, "LOGIN", 1)
		b.Deliver(t.Context())
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify([]byte(body), header); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"webhook-id": "event_other", "webhook-timestamp": fmt.Sprint(time.Now().Unix() + 5),
			"webhook-signature": strings.ToLower(header.Get("webhook-signature")),
		} {
			forged := header.Clone()
			forged.Set(name, value)
			if err := hook.Verify([]byte(body), forged); err == nil {
				t.Errorf("another %s is verified", name)
			}
		}
		if err := hook.Verify([]byte(strings.Replace(body, "session", "Session", 1)), header); err == nil {
			t.Error("another body is verified")
		}
		s.advance(-10 * time.Minute) // a message that was sent then, and is sent again now
		s.happens(b, "LOGIN", 1)
		b.Deliver(t.Context())
		if err := hook.Verify([]byte(body), header); err == nil {
			t.Error("a message of ten minutes ago is verified")
		}
	})
}

// The secret must be in no table, no log and no error. T227.
func TestTheSecretIsNowhereElse(t *testing.T) {
	key := strings.TrimPrefix(secret, "whsec_")
	for _, c := range []webhooks.Config{
		{URLs: []string{"https://receiver.example.com"}, Secret: key},
		{URLs: []string{"https://receiver.example.com"}, Secret: secret + " "},
		{URLs: []string{"https://receiver.example.com"}, Secret: secret + "," + secret + "," + secret},
		{URLs: []string{"https://receiver.example.com"}, Secret: "whsec_c2hvcnQ="},
		{URLs: []string{"https://receiver.example.com"}, Secret: ""},
	} {
		if err := c.Validate(); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%q: %v", c.Secret, err)
		}
	}
	each(t, func(t *testing.T, s *site) {
		r := newReceiver(t, http.StatusBadRequest)
		b := s.outbox([]string{r.URL})
		s.happens(b, "LOGIN", 1)
		b.Deliver(t.Context())
		if shown := fmt.Sprintf("%+v", s.deliveries()[0]) + s.log.String(); strings.Contains(shown, key) || !strings.Contains(shown, "400") {
			t.Errorf("got %s", shown)
		}
	})
}

// A receiver that answers slowly, without end or with much must not delay other receivers, nor take memory. T228.
func TestASlowReceiverDelaysNoOther(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		quick := newReceiver(t, http.StatusOK)
		ended := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-ended }))
		endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}))
		defer endless.Close()
		defer slow.Close()
		defer close(ended)
		b := s.outbox([]string{slow.URL, endless.URL, quick.URL})
		stop := s.run(b)
		start := time.Now()
		s.happens(b, "LOGIN", 20)
		eventually(t, "the quick one has all", func() bool { n, _ := quick.got(); return n == 20 })
		eventually(t, "the endless one too: a status is enough", func() bool { _, delivered, _ := s.states(); return delivered == 40 })
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("it took %s", took)
		}
		stopping := time.Now()
		stop()
		if took := time.Since(stopping); took > 6*time.Second {
			t.Errorf("to stop took %s", took)
		}
	})
}

// Messages for a receiver that is down are rows: an outbox that runs for long holds no more memory than its attempts. T229.
func TestMessagesThatWaitAreNotInMemory(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		var tried, atOnce, most atomic.Int32
		r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if n := atOnce.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(20 * time.Millisecond)
			atOnce.Add(-1)
			tried.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		}))
		defer r.Close()
		b := s.outbox([]string{r.URL})
		s.happens(b, "LOGIN", 100)
		stop := s.run(b)
		eventually(t, "each was tried", func() bool { return tried.Load() >= 100 })
		stop()
		if n := most.Load(); n > 4 {
			t.Errorf("%d messages were in memory", n)
		}
		if waiting, _, _ := s.states(); waiting != 100 {
			t.Errorf("%d messages wait for another attempt", waiting)
		}
	})
}
