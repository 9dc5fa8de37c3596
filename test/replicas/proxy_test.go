//go:build unix

package replicas

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// A direction is one of the two ways through a proxy.
type direction int

const (
	questions direction = iota // from the client to the server
	answers
)

// A proxy is a network between a replica and PostgreSQL that can go silent: what it holds is neither lost nor
// refused, and no connection closes.
type proxy struct {
	listener net.Listener
	target   string

	mu      sync.Mutex
	changed *sync.Cond
	held    [2]bool
	conns   map[net.Conn]struct{}
	closed  bool
}

// newProxy starts a proxy to the host of a URL and answers it with the URL through it.
func newProxy(t *testing.T, to string) (*proxy, string) {
	t.Helper()
	u := must[*url.URL](t)(url.Parse(to))
	p := &proxy{target: u.Host, listener: must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0")), conns: map[net.Conn]struct{}{}}
	p.changed = sync.NewCond(&p.mu)
	go p.serve()
	t.Cleanup(p.close)
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

func (p *proxy) serve() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.connect(in)
	}
}

// connect passes bytes on in both directions until one end closes.
func (p *proxy) connect(in net.Conn) {
	defer in.Close()
	if !p.keep(in) {
		return
	}
	defer p.forget(in)
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer out.Close()
	if !p.keep(out) {
		return
	}
	defer p.forget(out)
	done := make(chan struct{}, 2)
	go func() { p.pass(out, in, questions); done <- struct{}{} }()
	go func() { p.pass(in, out, answers); done <- struct{}{} }()
	<-done
}

// pass copies, and holds what it has read, its end too, for as long as the direction is held.
func (p *proxy) pass(to io.Writer, from io.Reader, d direction) {
	data := make([]byte, 32<<10)
	for {
		n, err := from.Read(data)
		p.mu.Lock()
		for p.held[d] && !p.closed {
			p.changed.Wait()
		}
		p.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(data[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = struct{}{}
	return !p.closed
}

func (p *proxy) forget(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// hold silences the directions that are named, and lets the others pass.
func (p *proxy) hold(directions ...direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = [2]bool{}
	for _, d := range directions {
		p.held[d] = true
	}
	p.changed.Broadcast()
}

// drop closes all connections. New ones are still accepted.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.drop()
}
