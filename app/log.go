package app

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

func (s *Settings) logger(w io.Writer) *slog.Logger { return slog.New(s.logHandler(w)) }

func (s *Settings) logHandler(w io.Writer) slog.Handler {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong has validated the value
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return explained{slog.NewJSONHandler(w, options)}
	}
	return explained{slog.NewTextHandler(w, options)}
}

// explained adds the setting to errors of the database, and writes durations in JSON as in text: slog's would be a number of
// nanoseconds.
type explained struct{ slog.Handler }

// Handle implements slog.Handler.
func (h explained) Handle(ctx context.Context, r slog.Record) error {
	plain := true
	r.Attrs(func(a slog.Attr) bool {
		plain = a.Value.Kind() != slog.KindAny && a.Value.Kind() != slog.KindDuration
		return plain
	})
	if !plain {
		changed := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			changed.AddAttrs(explain(a))
			return true
		})
		r = changed
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // a handler's error is the handler's below
}

// WithAttrs implements slog.Handler.
func (h explained) WithAttrs(attrs []slog.Attr) slog.Handler {
	changed := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		changed[i] = explain(a)
	}
	return explained{h.Handler.WithAttrs(changed)}
}

// WithGroup implements slog.Handler.
func (h explained) WithGroup(name string) slog.Handler { return explained{h.Handler.WithGroup(name)} }

func explain(a slog.Attr) slog.Attr {
	switch value := a.Value.Any().(type) {
	case error:
		return slog.Any(a.Key, explainDatabaseError(value, "DATABASE_URL"))
	case time.Duration:
		return slog.String(a.Key, value.String())
	}
	return a
}

// gatheredLogger returns a logger that writes many lines together under load, and a function that writes the rest at the
// end. A warning or an error is written at once, with the lines before it.
func (s *Settings) gatheredLogger(w io.Writer) (log *slog.Logger, flush func()) {
	lines := &lineWriter{to: w}
	return slog.New(gathered{s.logHandler(lines), lines}), lines.flush
}

type gathered struct {
	slog.Handler
	lines *lineWriter
}

// Handle implements slog.Handler.
func (h gathered) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.lines.flush()
	}
	return err //nolint:wrapcheck // a handler's error is the handler's below
}

// WithAttrs implements slog.Handler.
func (h gathered) WithAttrs(attrs []slog.Attr) slog.Handler {
	return gathered{h.Handler.WithAttrs(attrs), h.lines}
}

// WithGroup implements slog.Handler.
func (h gathered) WithGroup(name string) slog.Handler {
	return gathered{h.Handler.WithGroup(name), h.lines}
}

// A lineWriter writes a line at once if none was written lately, and otherwise together with those that follow: a system
// call for each request would cost about a tenth of its time.
type lineWriter struct {
	to io.Writer

	mu      sync.Mutex
	lines   []byte
	waiting bool // a timer will write lines
}

const (
	linesDelay = 100 * time.Millisecond
	linesBytes = 64 << 10
)

// Write implements io.Writer.
func (w *lineWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waiting {
		w.waiting = true
		time.AfterFunc(linesDelay, w.tick)
		return w.to.Write(line) //nolint:wrapcheck // as the writer below
	}
	if w.lines = append(w.lines, line...); len(w.lines) >= linesBytes {
		w.write()
	}
	return len(line), nil
}

// tick writes what was gathered, and goes on gathering if that was something.
func (w *lineWriter) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting = len(w.lines) > 0; w.waiting {
		w.write()
		time.AfterFunc(linesDelay, w.tick)
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.write()
}

// write writes what was gathered. The caller holds the lock.
func (w *lineWriter) write() {
	if len(w.lines) == 0 {
		return
	}
	_, _ = w.to.Write(w.lines) // there is nowhere to report a log that cannot be written
	w.lines = w.lines[:0]
}
