package graph

import "testing"

func TestTheAnswerHasTheMediaTypeThatTheClientPrefers(t *testing.T) {
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
		if got := negotiate(c.accept); got != c.want {
			t.Errorf("Accept %q: %q, want %q", c.accept, got, c.want)
		}
	}
}
