// Package static serves embedded files of web pages, with a strict Content-Security-Policy that keeps a page from loading
// anything from, or sending anything to, other sites.
package static

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/accept"
)

// headers are those of every response. In connect-src, 'self' includes WebSockets
// to the page's own origin.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
		"connect-src 'self'; font-src 'self' data:; img-src 'self' data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy": "same-origin",
	"Referrer-Policy":            "no-referrer",
	"X-Content-Type-Options":     "nosniff",
	"X-Frame-Options":            "DENY",
}

// contentTypes does not depend on the system's table of types, unlike package mime.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// A Site maps URL paths to files. Other paths are not found.
type Site map[string]asset

// ServeHTTP implements http.Handler.
func (s Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	asset, found := s[r.URL.Path]
	switch {
	case !found:
		http.NotFound(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	default:
		asset.serve(w, r)
	}
}

// Add adds a file at a path. A name that ends with .gz is of a file that is compressed; the path is without.
func (s Site) Add(at string, data []byte) {
	name, packed := strings.CutSuffix(at, ".gz")
	s[name] = newAsset(name, data, packed)
}

// AddPage executes an HTML template and adds the result at a path. In the template, asset "/x/file.js" is the URL of a file,
// relative to root, such as "" or "../", which leads from the page to the paths' beginning.
func (s Site) AddPage(at, root string, parse func(*template.Template) (*template.Template, error), data any) error {
	link := func(name string) (string, error) {
		asset, found := s[name]
		if !found {
			return "", fmt.Errorf("no file %q", name)
		}
		// The URL changes with the content, so browsers may cache the file for ever.
		return root + strings.TrimPrefix(name, "/") + "?v=" + asset.hash, nil
	}
	page, err := parse(template.New("").Funcs(template.FuncMap{"asset": link}))
	if err != nil {
		return fmt.Errorf("page %s: %w", at, err)
	}
	var text bytes.Buffer
	if err := page.Execute(&text, data); err != nil {
		return fmt.Errorf("page %s: %w", at, err)
	}
	s[at] = newAsset("index.html", text.Bytes(), false)
	return nil
}

// Lazy returns a handler whose files are loaded by the first request.
func Lazy(load func() (Site, error)) http.Handler {
	loaded := sync.OnceValue(func() Site {
		s, err := load()
		if err != nil { // a bug, which the tests find
			panic(fmt.Sprintf("embedded files: %v", err))
		}
		return s
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { loaded().ServeHTTP(w, r) })
}

// asset is one file.
type asset struct {
	contentType string
	hash        string
	plain       func() []byte
	packed      []byte // the same with gzip, or nil
}

// newAsset returns an asset for data, which may be compressed. It is decompressed
// when the first browser that does not accept gzip requests it.
func newAsset(name string, data []byte, packed bool) asset {
	sum := sha256.Sum256(data)
	a := asset{
		contentType: contentTypes[path.Ext(name)],
		hash:        hex.EncodeToString(sum[:8]),
		plain:       func() []byte { return data },
	}
	if packed {
		a.packed = data
		a.plain = sync.OnceValue(func() []byte { return unpack(data) })
	}
	return a
}

// unpack decompresses an embedded file.
func unpack(data []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		panic(fmt.Sprintf("embedded file: %v", err))
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		panic(fmt.Sprintf("embedded file: %v", err))
	}
	return content
}

// serve responds with the file, compressed if the browser accepts that.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	content, tag := a.content(w.Header(), r)
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", `"`+tag+`"`)
	w.Header().Set("Cache-Control", a.caching(r))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// content returns the plain or the compressed file and its entity tag, and sets the
// headers about the encoding.
func (a asset) content(header http.Header, r *http.Request) (content []byte, tag string) {
	if a.packed == nil {
		return a.plain(), a.hash
	}
	header.Set("Vary", "Accept-Encoding")
	if !acceptsGzip(r) {
		return a.plain(), a.hash
	}
	header.Set("Content-Encoding", "gzip")
	return a.packed, a.hash + "-gzip"
}

// caching returns the Cache-Control header: a year for URLs with the hash of the
// content. Browsers revalidate everything else, such as the page itself, and do not
// store pages with parameters, which may be secret.
func (a asset) caching(r *http.Request) string {
	switch {
	case r.URL.Query().Get("v") == a.hash:
		return "public, max-age=31536000, immutable"
	case r.URL.RawQuery != "" && !r.URL.Query().Has("v"):
		return "no-store"
	}
	return "no-cache"
}

// acceptsGzip reports whether "gzip", or "*" if that is not listed, is acceptable.
// With a parameter other than the weight it is not, to be safe: every browser can
// read the plain file.
func acceptsGzip(r *http.Request) bool {
	accepted := false
	for _, coding := range accept.Parse(r.Header.Values("Accept-Encoding")) {
		acceptable := coding.Weight > 0 && len(coding.Params) == 0
		switch coding.Name {
		case "gzip":
			return acceptable
		case "*":
			accepted = acceptable
		}
	}
	return accepted
}
