package graph

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// encode returns {errors, data, extensions} in JSON. If no operation ran there is no data.
func encode(response *graphql.Response) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(len(response.Data) + 64)
	b.WriteByte('{')
	member := func(name string, v any) error {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":`)
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false) // the response is not HTML
		err := encoder.Encode(v)
		b.Truncate(b.Len() - 1) // the end of the line
		return err
	}
	if errs := response.Errors; len(errs) > 0 {
		if err := member("errors", errs[:min(len(errs), maxErrors)]); err != nil {
			return nil, err
		}
	}
	if response.Data != nil {
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		b.WriteString(`"data":`)
		b.Write(response.Data)
	}
	if len(response.Extensions) > 0 {
		if err := member("extensions", response.Extensions); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// writeResponse sends a complete response. Responses depend on the viewer and may contain tokens, so cache is noStore for
// all but those of publicCache.
func writeResponse(w http.ResponseWriter, status int, mediaType string, cache []string, response *graphql.Response) {
	body, err := encode(response)
	if err != nil { // an extension that cannot be encoded
		cache = noStore
		status, body = http.StatusInternalServerError, []byte(`{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`)
	}
	if mediaType == "" {
		mediaType = plainJSON
	}
	h := w.Header()
	h["Content-Type"] = contentTypes[mediaType]
	h["Cache-Control"] = cache
	h["X-Content-Type-Options"] = nosniff
	h.Add("Vary", "Accept")
	if &cache[0] != &noStore[0] {
		h.Add("Vary", "Authorization, Cookie")
	}
	if status == http.StatusMethodNotAllowed {
		h.Set("Allow", allowedMethods)
	}
	if retry := retryAfter(response.Errors); retry != "" {
		h.Set("Retry-After", retry)
	}
	w.WriteHeader(status)
	w.Write(body)
}

// Header values that responses share. None is appended to.
var (
	contentTypes = map[string][]string{
		plainJSON:       {plainJSON + "; charset=utf-8"},
		graphqlResponse: {graphqlResponse + "; charset=utf-8"},
	}
	noStore = []string{"no-store"}
	nosniff = []string{"nosniff"}
)

func retryAfter(errs gqlerror.List) string {
	for _, e := range errs {
		if seconds, ok := e.Extensions["retryAfter"].(int); ok {
			return strconv.Itoa(seconds)
		}
	}
	return ""
}
