package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A call is a request, as it is sent, and what its response has to be. Each response is checked.
type call struct {
	request []byte
	want    response
}

// A response is a status and a body, which begins with start and ends with end. A nil end means that start is all of it.
type response struct {
	status     int
	start, end []byte
}

func (r response) check(status int, body []byte) error {
	body = bytes.TrimRight(body, "\n") // some servers end lines
	rest, ok := bytes.CutPrefix(body, r.start)
	if ok && r.end == nil {
		ok = len(rest) == 0
	} else if ok {
		ok = bytes.HasSuffix(rest, r.end)
	}
	if !ok || status != r.status {
		return fmt.Errorf("the response is %d %.500q, want %d %.500q … %q", status, body, r.status, r.start, r.end)
	}
	return nil
}

func post(path, authorization string, body []byte) []byte {
	return request("POST", path, authorization, body)
}

// request returns the bytes of a request.
func request(method, path, authorization string, body []byte) []byte {
	b := make([]byte, 0, 512+len(body))
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\n"...)
	b = append(b, "Accept: application/json\r\nContent-Type: application/json\r\n"...)
	if authorization != "" {
		b = append(b, "Authorization: "...)
		b = append(b, authorization...)
		b = append(b, "\r\n"...)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(b, "\r\n\r\n"...)
	return append(b, body...)
}

// A connection sends one request after the other. It reads HTTP/1.1 as far as servers write it here, which costs less than
// net/http's client: the client and the server share the processors.
type connection struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

func dial(ctx context.Context, addr string) (*connection, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// do sends a request and checks its response.
func (c *connection) do(one call) error {
	if _, err := c.Write(one.request); err != nil {
		return err
	}
	status, err := c.read()
	if err != nil {
		return err
	}
	return one.want.check(status, c.body)
}

var errResponse = errors.New("not a response of HTTP/1.1")

// read reads a response, the body into c.body.
func (c *connection) read() (status int, err error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("%w: %q", errResponse, line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length, chunked, err := c.header()
	if err != nil {
		return 0, err
	}
	c.body = c.body[:0]
	if !chunked {
		return status, c.more(length)
	}
	for {
		line, err := c.line()
		if err != nil {
			return 0, err
		}
		size, err := strconv.ParseInt(string(line), 16, 32)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errResponse, err)
		}
		if err := c.more(int(size)); err != nil {
			return 0, err
		}
		if _, err := c.line(); err != nil || size == 0 {
			return status, err
		}
	}
}

// header reads up to the empty line.
func (c *connection) header() (length int, chunked bool, err error) {
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return length, chunked, err
		}
		if value, ok := field(line, "content-length: "); ok {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, false, fmt.Errorf("%w: %w", errResponse, err)
			}
		} else if value, ok := field(line, "transfer-encoding: "); ok {
			chunked = bytes.Equal(value, []byte("chunked"))
		}
	}
}

func field(line []byte, name string) (value []byte, ok bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return line[len(name):], true
}

func (c *connection) line() ([]byte, error) {
	line, err := c.reader.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// more appends n bytes to the body.
func (c *connection) more(n int) error {
	have := len(c.body)
	c.body = slices.Grow(c.body, n)[:have+n]
	_, err := io.ReadFull(c.reader, c.body[have:])
	return err
}

// connections are open to one or more servers.
type connections []*connection

// dialAll opens n connections, to the servers in turn, and sends a request on each: servers close those that send none.
func dialAll(ctx context.Context, to []*server, n int, first func(connection int) call) (connections, error) {
	var all connections
	for i := range n {
		c, err := dial(ctx, to[i%len(to)].addr)
		if err != nil {
			return nil, errors.Join(err, all.Close())
		}
		all = append(all, c)
		if err := errors.Join(c.SetDeadline(time.Now().Add(time.Minute)), c.do(first(i))); err != nil {
			return nil, errors.Join(err, all.Close())
		}
	}
	return all, nil
}

func (all connections) Close() error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Conn.Close())
	}
	return errors.Join(errs...)
}

// A load is what was done in a time.
type load struct {
	requests  int
	took      time.Duration
	latencies []time.Duration // sorted
}

func (l *load) perSecond() float64 { return float64(l.requests) / l.took.Seconds() }

// percentile returns the latency that the share p of requests did not exceed.
func (l *load) percentile(p float64) time.Duration {
	return l.latencies[min(len(l.latencies)-1, int(p*float64(len(l.latencies))))]
}

// A pace is how long a load lasts and how fast it is.
type pace struct {
	duration time.Duration
	every    time.Duration // of each worker a request; 0: the next one when the response is there
}

// run sends requests for a time. Each worker has its share of the connections, uses them in turn, and sends one request after
// the other. All stop at the first response that is not the wanted one.
func (all connections) run(ctx context.Context, workers int, p pace, next func(worker int) call) (*load, error) {
	var (
		stop      atomic.Bool
		group     sync.WaitGroup
		errs      = make([]error, workers)
		latencies = make([][]time.Duration, workers)
		start     = time.Now()
	)
	defer context.AfterFunc(ctx, func() { stop.Store(true) })()
	timer := time.AfterFunc(p.duration, func() { stop.Store(true) })
	defer timer.Stop()
	for _, c := range all {
		if err := c.SetDeadline(start.Add(p.duration + time.Minute)); err != nil {
			return nil, err
		}
	}
	for w := range workers {
		group.Go(func() {
			at := w
			for n := 0; !stop.Load(); n++ {
				sent := p.await(start, w, workers, n)
				if errs[w] = all[at].do(next(w)); errs[w] != nil {
					stop.Store(true)
					return
				}
				latencies[w] = append(latencies[w], time.Since(sent))
				if at += workers; at >= len(all) {
					at = w
				}
			}
		})
	}
	group.Wait()
	l := &load{took: time.Since(start), latencies: slices.Concat(latencies...)}
	l.requests = len(l.latencies)
	slices.Sort(l.latencies)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return nil, err
	}
	if l.requests == 0 {
		return nil, errors.New("no request was made")
	}
	return l, nil
}

// await waits until a worker's nth request is due, and returns when that is: a request that is sent late, because the one
// before took long, has waited already.
func (p *pace) await(start time.Time, worker, workers, n int) time.Time {
	if p.every == 0 {
		return time.Now()
	}
	due := start.Add(time.Duration(n)*p.every + p.every*time.Duration(worker)/time.Duration(workers))
	time.Sleep(time.Until(due))
	return due
}
