package stream

import (
	"strings"
	"testing"
)

// If this fails, a client gets a stream that it cannot read, or a stream takes no place among the streams.
func TestAStreamIsWhatTheClientPrefers(t *testing.T) {
	for header, want := range map[string]struct {
		preferred string
		listed    bool
	}{
		"":                                    {"", false},
		"*/*":                                 {"", false},
		"text/event-stream":                   {Events, true},
		"application/json, Text/Event-Stream": {"", true},
		"text/event-stream;q=0":               {"", true},
		"text/event-streams":                  {"", false},
		`a/b;x="text/event-stream"`:           {"", false},
		"multipart/mixed":                     {"", false}, // urql
		"multipart/mixed;deferSpec=20220824, application/json":                                                           {"", false}, // Apollo's clients, for queries
		"multipart/mixed;subscriptionSpec=2.0":                                                                           {"", false},
		"multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/graphql-response+json,application/json;q=0.9": {Multipart, true}, // Apollo Client 4
		`multipart/mixed; boundary="graphql"; subscriptionSpec="1.0", application/json`:                                  {Multipart, true},
		`Multipart/Mixed;SUBSCRIPTIONSPEC="1.0"`:                                                                         {Multipart, true},
		`application/json, multipart/mixed;subscriptionSpec="1.0"`:                                                       {"", true},
		`application/json;q=0.5, multipart/mixed;subscriptionSpec=1.0`:                                                   {Multipart, true},
		`text/event-stream;q=0.5, multipart/mixed;subscriptionSpec=1.0;q=0.4`:                                            {Events, true},
	} {
		if got := Preferred([]string{header}); got != want.preferred {
			t.Errorf("%s: prefers %q", header, got)
		}
		if got := Listed([]string{header}); got != want.listed {
			t.Errorf("%s: lists a stream: %v", header, got)
		}
	}
}

// A client that did not ask for a stream, which may have no end, never gets one. What is preferred is also listed:
// the server counts streams by the latter.
func FuzzPreferred(f *testing.F) {
	for _, seed := range []string{"", "*/*", Events, `multipart/mixed;subscriptionSpec="1.0"`, "multipart/mixed;subscriptionSpec=1.0;q=0", "TEXT/Event-Stream", "text/event-stream;q=0", "text/event-stream;q=NaN", "application/json, text/event-stream", "application/json;q=0.9, text/event-stream", "text/event-stream;q=", ",;,", "\xff", `a/b;x="text/event-stream"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		wants := func(header ...string) bool { return Preferred(header) != "" }
		if wants(header) && !Listed([]string{header}) {
			t.Errorf("%q wants a stream", header)
		}
		if wants(header) != wants(header, "text/event-stream;q=0, multipart/mixed;subscriptionSpec=1.0;q=0") || wants(header+";q=0") && !strings.Contains(header, ",") {
			t.Errorf("%q wants a stream, or none, with what is not acceptable", header)
		}
	})
}
