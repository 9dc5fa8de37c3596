// Package graphiql serves the page on which people try the API in a browser:
// GraphiQL, a GraphQL editor, with a login and a query already filled in.
//
// Everything the page needs is embedded, and a strict Content-Security-Policy
// keeps it from loading or sending anything elsewhere. README.md names where the
// files in assets come from.
//
// The package answers no GraphQL: the page sends it to "graphql" beside itself,
// so the two are mounted side by side, at the root or below any path. It checks
// no one's identity either; the page shows nothing that the API would not.
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

// files holds assets, made by others and packed with gzip, and page, our own.
//
//go:embed assets page
var files embed.FS

// headers go with every answer. In connect-src, 'self' also covers a WebSocket to
// the page's own origin.
var headers = map[string]string{
	"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
		"connect-src 'self'; font-src 'self' data:; img-src 'self' data:; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy": "same-origin",
	"Referrer-Policy":            "no-referrer",
	"X-Content-Type-Options":     "nosniff",
	"X-Frame-Options":            "DENY",
}

// contentTypes are listed here rather than asked of the system, which may know
// others or none.
var contentTypes = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// Handler serves the page at exactly "/" and its files below "/graphiql/". Every
// other path is not found. To mount it deeper, use [http.StripPrefix].
func Handler() http.Handler {
	site, err := load()
	if err != nil { // a fault in the program itself, which the tests find
		panic(fmt.Sprintf("graphiql: embedded files: %v", err))
	}
	return site
}

// site maps URL paths to what is served there.
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

// load makes the site from the embedded files.
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

// addIndex moves index.html to the root, with the links to its files filled in.
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

// link returns the address of a file, relative to the page. It changes with the
// content, so browsers may keep what they once got from it.
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

// newAsset takes data, packed with gzip or not. What is packed is unpacked when a
// browser first asks for that, which hardly any does.
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

// unpack returns the content of an embedded gzip file.
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

// serve answers with the file, in the form that the browser accepts.
func (a asset) serve(w http.ResponseWriter, r *http.Request) {
	content, tag := a.content(w.Header(), r)
	w.Header().Set("Content-Type", a.contentType)
	w.Header().Set("ETag", `"`+tag+`"`)
	w.Header().Set("Cache-Control", a.caching(r))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// content chooses between the plain and the packed form, says so in the headers,
// and returns the form with a tag that tells one from the other.
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

// caching lets browsers keep for a year what they asked for by its hash, and
// makes them ask again for everything else, the page itself above all.
func (a asset) caching(r *http.Request) string {
	if r.URL.Query().Get("v") == a.hash {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// acceptsGzip reports whether gzip, or if that is not named then "*", is acceptable. Parameters other than a weight
// are not understood: then the file is sent as it is, which every browser can read.
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
