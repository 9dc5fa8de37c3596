package sse

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestEventsAreSentAtOnce(t *testing.T) {
	recorder := httptest.NewRecorder()
	w := NewWriter(recorder)
	if err := errors.Join(w.Comment(), w.Send("next", []byte(`{"a":"b\n"}`)), w.Send("complete", nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := recorder.Body.String(), ":\n\nevent: next\ndata: {\"a\":\"b\\n\"}\n\nevent: complete\ndata:\n\n"; got != want || !recorder.Flushed {
		t.Errorf("got %q, want %q; flushed: %v", got, want, recorder.Flushed)
	}
	if got := recorder.Header().Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestAClientThatIsGoneIsReported(t *testing.T) {
	if err := NewWriter(gone{httptest.NewRecorder()}).Comment(); !errors.Is(err, http.ErrHandlerTimeout) {
		t.Errorf("got %v", err)
	}
}

// gone is a ResponseWriter whose writes fail.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, http.ErrHandlerTimeout }
