package graph

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"
)

// bodies are buffers for reading bodies. Large ones are left to the garbage collector.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const largestPooledBody = 64 << 10

// readBody reads and parses a body whose size is limited.
func readBody(body io.Reader, params *request) *requestError {
	buffer := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= largestPooledBody {
			buffer.Reset()
			bodies.Put(buffer)
		}
	}()
	_, err := buffer.ReadFrom(body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return newRequestError(http.StatusRequestEntityTooLarge, PayloadTooLarge, "the request is too large")
	case err != nil:
		return newRequestError(http.StatusBadRequest, BadRequest, "the request could not be read to its end")
	}
	return parseBody(buffer.Bytes(), params)
}

// parseBody parses the body of a request, which must be one JSON object. It keeps no part of data.
func parseBody(data []byte, params *request) *requestError {
	data = bytes.Trim(data, jsonSpace)
	switch {
	case !utf8.Valid(data):
		return newRequestError(http.StatusBadRequest, BadRequest, "the request is not UTF-8")
	case len(data) > 0 && data[0] == '[':
		return newRequestError(http.StatusBadRequest, BatchingNotSupported, "batching is not supported: send one operation in a request")
	case len(data) == 0 || data[0] != '{' || !json.Valid(data):
		return newRequestError(http.StatusBadRequest, BadRequest, "the request is not a JSON object")
	}
	if hasEscapedSurrogate(data) {
		return newRequestError(http.StatusBadRequest, BadRequest, loneSurrogate)
	}
	if countValues(data) > maxValues {
		return newRequestError(http.StatusRequestEntityTooLarge, PayloadTooLarge, "the request has too many values")
	}
	if decodeParams(data, params) != nil {
		return newRequestError(http.StatusBadRequest, BadRequest, "query, documentId and operationName must be texts, variables and extensions objects, each given once")
	}
	return nil
}

// hasEscapedSurrogate is hasLoneSurrogate, without a copy of a text that has no escape sequences.
func hasEscapedSurrogate(data []byte) bool {
	return bytes.IndexByte(data, '\\') >= 0 && hasLoneSurrogate(string(data))
}

// maxValues limits the JSON values in a body: decoded, a value takes much more memory than it has bytes.
const maxValues = 20_000

// countValues returns about how many values there are in valid JSON.
func countValues(data []byte) (n int) {
	inText, escaped := false, false
	for _, c := range data {
		switch {
		case escaped:
			escaped = false
		case inText && c == '\\':
			escaped = true
		case c == '"':
			inText = !inText
		case !inText && (c == ',' || c == '[' || c == '{'):
			n++
		}
	}
	return n
}

// decodeParams decodes {query, documentId, operationName, variables, extensions} (GraphQL over HTTP, section 5.4) from valid JSON. Names
// are case sensitive and must be unique, so that a proxy or firewall in front of the server sees the same request.
func decodeParams(data []byte, params *request) error {
	data = bytes.Trim(data, jsonSpace)
	if len(data) == 0 || data[0] != '{' {
		return errNoObject
	}
	var read request
	seen := map[string]bool{}
	rest := data[1:]
	for {
		name, value, after, more := nextMember(rest)
		if !more {
			break
		}
		if seen[name] {
			return errTwice
		}
		seen[name], rest = true, after
		if err := decodeParam(name, value, &read); err != nil {
			return err
		}
	}
	params.Query, params.OperationName, params.Variables, params.Extensions, params.documentID = read.Query, read.OperationName, read.Variables, read.Extensions, read.documentID
	return nil
}

var (
	errNoObject = errors.New("not a JSON object")
	errTwice    = errors.New("a name stands twice in the JSON object")
)

// decodeParam decodes the value of one parameter. null counts as absent. Unknown parameters are ignored.
func decodeParam(name string, value []byte, params *request) error {
	switch name {
	case "query":
		return decodeText(value, &params.Query)
	case "operationName":
		return decodeText(value, &params.OperationName)
	case "documentId":
		return decodeText(value, &params.documentID)
	case "variables":
		return decodeNumbers(value, &params.Variables)
	case "extensions":
		return decodeNumbers(value, &params.Extensions)
	}
	return nil
}

const jsonSpace = " \t\r\n"

// nextMember returns the first member of what follows the opening brace, or the comma, of a valid JSON object.
func nextMember(data []byte) (name string, value, rest []byte, ok bool) {
	data = bytes.TrimLeft(data, jsonSpace+",")
	if data[0] == '}' {
		return "", nil, nil, false
	}
	end := valueEnd(data)
	_ = decodeText(data[:end], &name) // a valid JSON string
	data = bytes.TrimLeft(data[end:], jsonSpace+":")
	end = valueEnd(data)
	return name, data[:end], data[end:], true
}

// valueEnd returns where the JSON value at the start of valid JSON ends.
func valueEnd(data []byte) int {
	depth, inText := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
			if !inText && depth == 0 {
				return i + 1
			}
		case inText:
		case c == '{' || c == '[':
			depth++
		case (c == '}' || c == ']') && depth > 0:
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && strings.IndexByte(",}]:"+jsonSpace, c) >= 0:
			return i
		}
	}
	return len(data)
}

// decodeText decodes a JSON string.
func decodeText(data []byte, into *string) error {
	if len(data) >= 2 && data[0] == '"' && bytes.IndexByte(data, '\\') < 0 {
		*into = string(data[1 : len(data)-1])
		return nil
	}
	return json.Unmarshal(data, into)
}

// decodeNumbers decodes JSON with its numbers as json.Number, which keeps all digits.
func decodeNumbers(data []byte, into *map[string]any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

// decodeObject decodes a JSON object of a URL.
func decodeObject(text string, into *map[string]any) bool {
	data := []byte(text)
	return json.Valid(data) && utf8.Valid(data) && !hasEscapedSurrogate(data) && decodeNumbers(data, into) == nil
}
