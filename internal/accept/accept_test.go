package accept

import (
	"slices"
	"testing"
)

const (
	plainJSON       = "application/json"
	graphqlResponse = "application/graphql-response+json"
	eventStream     = "text/event-stream"
)

func TestTheMediaTypeIsTheOneThatTheClientPrefers(t *testing.T) {
	const both = "application/graphql-response+json, application/json;q=0.9" // what Apollo Client sends
	for _, c := range []struct {
		accept []string
		want   string
	}{
		{nil, plainJSON}, {[]string{""}, plainJSON}, {[]string{" "}, plainJSON}, {[]string{"*/*"}, plainJSON}, {[]string{"application/*"}, plainJSON},
		{[]string{"application/json"}, plainJSON}, {[]string{"APPLICATION/JSON"}, plainJSON}, {[]string{"application/json; charset=UTF-8"}, plainJSON},
		{[]string{"application/graphql-response+json"}, graphqlResponse}, {[]string{both}, graphqlResponse}, {[]string{"application/graphql-response+json;charset=utf-8, application/json;charset=utf-8;q=0.5"}, graphqlResponse},
		{[]string{"application/json", "application/graphql-response+json;q=0.9"}, plainJSON}, {[]string{"application/json;q=0.1", "application/graphql-response+json"}, graphqlResponse},
		{[]string{"application/json, */*;q=0.5"}, plainJSON}, {[]string{"application/graphql-response+json, */*"}, graphqlResponse}, {[]string{"text/html, application/graphql-response+json;q=0.1"}, graphqlResponse},
		{[]string{"application/json;q=0, */*"}, graphqlResponse}, {[]string{"*/*, application/json;q=0"}, graphqlResponse}, {[]string{"application/json;q=0, application/*;q=0.1"}, graphqlResponse},
		{[]string{"*/*;q=0.8, application/json;q=0.1"}, graphqlResponse}, {[]string{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}, plainJSON},
		{[]string{"text/html"}, ""}, {[]string{"application/xml"}, ""}, {[]string{"application/json;q=0"}, ""}, {[]string{"*/*;q=0"}, ""}, {[]string{"application/*;q=0, application/json;q=0"}, ""},
		{[]string{"application/json; charset=latin1"}, ""}, {[]string{"json"}, ""}, {[]string{"application/json;q=2"}, ""}, {[]string{"application/json;q=x"}, ""}, {[]string{"application/json;q=-1"}, ""}, {[]string{"application/json;q=NaN"}, ""},
		{[]string{"\x00"}, ""}, {[]string{";"}, ""}, {[]string{"text/event-stream"}, ""}, {[]string{"application/graphql+json"}, ""}, {[]string{",,application/json,,"}, plainJSON},
	} {
		if got := Choose(c.accept, plainJSON, graphqlResponse); got != c.want {
			t.Errorf("Accept %q: %q, want %q", c.accept, got, c.want)
		}
	}
}

func TestPreferredIsTheFirstOfTheLargestWeight(t *testing.T) {
	for header, want := range map[string]string{
		"": "", "*/*": "*/*", "TEXT/Event-Stream": eventStream, "application/json, text/event-stream": plainJSON, "application/json;q=0.9, text/event-stream": eventStream,
		"text/event-stream;q=0": "", "text/event-stream;q=NaN": "", "text/event-stream;q=": "", ",;,": "", "\xff": "", `a/b;x="text/event-stream"`: "a/b",
	} {
		if got := Preferred([]string{header}).Name; got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func FuzzChoose(f *testing.F) {
	for _, seed := range []string{"", "*/*", "application/json", "application/graphql-response+json;q=0.5, application/json;q=1", "application/*;q=0", "a/b;q=", ";,;", "*/*;q=NaN", `application/json;q="0.5"`, "application/json;x=\"a,b\"", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if got := Choose([]string{header}, plainJSON, graphqlResponse); !slices.Contains([]string{"", plainJSON, graphqlResponse}, got) {
			t.Errorf("%q: %q", header, got)
		}
	})
}
