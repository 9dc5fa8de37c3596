// Package graphiql serves GraphiQL, an editor for trying the API in a browser,
// with a bar to log in and out, and first operations.
//
// All files are embedded. A strict Content-Security-Policy keeps the page from
// loading anything from, or sending anything to, other sites. README.md names
// the sources of the files in assets.
//
// The package does not serve GraphQL: the page sends requests to the relative
// URL "graphql", so both are mounted below the same path. It does not
// authenticate either, because the page shows nothing that the API does not.
package graphiql

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/latchkey/latchkey/internal/accept"
)

// files has assets, which are third-party files compressed with gzip, and page, which is our own.
//
//go:embed assets page
var files embed.FS

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

// Handler serves the page at "/" and its files below "/graphiql/". Other paths are
// not found. To mount it below another path, use [http.StripPrefix]. The files are
// loaded by the first request.
func Handler() http.Handler {
	loaded := sync.OnceValue(func() site {
		s, err := load()
		if err != nil { // a bug, which the tests find
			panic(fmt.Sprintf("graphiql: embedded files: %v", err))
		}
		return s
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { loaded().ServeHTTP(w, r) })
}

// site maps URL paths to files.
type site map[string]asset

func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

// load returns the embedded files.
func load() (site, error) {
	s := site{}
	for _, dir := range []string{"assets", "page"} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			data, err := fs.ReadFile(files, path.Join(dir, entry.Name()))
			if err != nil {
				return nil, err
			}
			name, packed := strings.CutSuffix(entry.Name(), ".gz")
			s["/graphiql/"+name] = newAsset(name, data, packed)
		}
	}
	return s, s.addIndex()
}

// addIndex moves index.html to the root, and fills in the links to its files.
func (s site) addIndex() error {
	const source = "/graphiql/index.html"
	page, err := template.New("").Funcs(template.FuncMap{"asset": s.link}).Parse(string(s[source].plain()))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := page.Execute(&text, nil); err != nil {
		return err
	}
	delete(s, source)
	s["/"] = newAsset("index.html", text.Bytes(), false)
	return nil
}

// link returns the URL of a file, relative to the page. It changes with the
// content, so browsers may cache the file for ever.
func (s site) link(name string) (string, error) {
	asset, found := s["/graphiql/"+name]
	if !found {
		return "", fmt.Errorf("no file %q", name)
	}
	return "graphiql/" + name + "?v=" + asset.hash, nil
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
		panic(fmt.Sprintf("graphiql: embedded file: %v", err))
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		panic(fmt.Sprintf("graphiql: embedded file: %v", err))
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
// content. Browsers revalidate everything else, such as the page itself.
func (a asset) caching(r *http.Request) string {
	if r.URL.Query().Get("v") == a.hash {
		return "public, max-age=31536000, immutable"
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
