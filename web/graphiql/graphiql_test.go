package graphiql

import (
	"compress/gzip"
	"html/template"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/internal/static"
)

const (
	script = "/graphiql/graphiql.min.js" // compressed
	icon   = "/graphiql/favicon.svg"     // not compressed
)

// handler is shared, so that each file is decompressed only once.
var handler = Handler()

// get sends a request to the handler. Header names and values alternate.
func get(t *testing.T, method, target string, header ...string) *http.Response {
	t.Helper()
	request := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Add(header[i], header[i+1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	return recorder.Result()
}

// text reads the response as a browser does, and decompresses it if need be.
func text(t *testing.T, response *http.Response) string {
	t.Helper()
	body := io.Reader(response.Body)
	if response.Header.Get("Content-Encoding") == "gzip" {
		reader, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = reader
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// links returns the addresses that the page refers to.
func links(page string) []string {
	var found []string
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		found = append(found, match[1])
	}
	return found
}

// TestRouting: if it fails, the page is missing, covers another path of the server,
// or serves requests that no page should.
func TestRouting(t *testing.T) {
	tests := []struct {
		name, method, path string
		status             int
		contentType        string
	}{
		{"someone opens the page", "GET", "/", 200, "text/html; charset=utf-8"},
		{"a monitor looks whether the page is there", "HEAD", "/", 200, "text/html; charset=utf-8"},
		{"the page loads a script", "GET", script, 200, "text/javascript; charset=utf-8"},
		{"the page loads a style", "GET", "/graphiql/graphiql.min.css", 200, "text/css; charset=utf-8"},
		{"the browser loads the icon", "GET", icon, 200, "image/svg+xml"},
		{"someone reads a licence", "GET", "/graphiql/LICENSE.react.txt", 200, "text/plain; charset=utf-8"},
		{"the page has one address", "GET", "/graphiql/index.html", 404, "text/plain; charset=utf-8"},
		{"directories are not listed", "GET", "/graphiql/", 404, "text/plain; charset=utf-8"},
		{"packed names are no addresses", "GET", script + ".gz", 404, "text/plain; charset=utf-8"},
		{"a wrong path says so", "GET", "/nothing", 404, "text/plain; charset=utf-8"},
		{"a program posts to the page by mistake", "POST", "/", 405, "text/plain; charset=utf-8"},
		{"nobody deletes a script", "DELETE", script, 405, "text/plain; charset=utf-8"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response := get(t, test.method, test.path)
			if response.StatusCode != test.status {
				t.Errorf("status %d, want %d", response.StatusCode, test.status)
			}
			if got := response.Header.Get("Content-Type"); got != test.contentType {
				t.Errorf("Content-Type %q, want %q", got, test.contentType)
			}
			if got, want := response.Header.Get("Allow") == "GET, HEAD", test.status == 405; got != want {
				t.Errorf("Allow: %q", response.Header.Get("Allow"))
			}
			if test.method == "HEAD" && text(t, response) != "" {
				t.Error("HEAD got a body")
			}
		})
	}
}

// TestSecurityHeaders: if it fails, other sites can frame the page, or a fault in
// it can send a token away.
// T89.
func TestSecurityHeaders(t *testing.T) {
	want := map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
			"connect-src 'self'; font-src 'self' data:; img-src 'self' data:; " +
			"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Referrer-Policy":            "no-referrer",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
	}
	tests := []struct{ name, method, path string }{
		{"page", "GET", "/"},
		{"script", "GET", script},
		{"not found", "GET", "/nothing"},
		{"method not allowed", "POST", "/"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header := get(t, test.method, test.path).Header
			for name, value := range want {
				if got := header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
		})
	}
}

// TestPage: if it fails, the page stays blank: its policy blocks what is inline or
// elsewhere, and links from the root break below a path.
// T89, T131.
func TestPage(t *testing.T) {
	page := text(t, get(t, "GET", "/"))
	for _, wanted := range []string{`<html lang="en">`, "<title>Latchkey</title>", `name="viewport"`, "Loading", "<noscript>"} {
		if !strings.Contains(page, wanted) {
			t.Errorf("%s is missing", wanted)
		}
	}
	if inline := regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]`).FindString(page); inline != "" {
		t.Errorf("the policy blocks %q", inline)
	}
	if got := len(links(page)); got != 9 {
		t.Errorf("%d links, want 9", got)
	}
	for _, link := range links(page) {
		if !strings.HasPrefix(link, "graphiql/") {
			t.Errorf("%s is not beside the page", link)
		}
		if status := get(t, "GET", "/"+link).StatusCode; status != 200 {
			t.Errorf("%s: status %d", link, status)
		}
	}
}

// TestSubPath: if it fails, a server that has the page below a path serves none.
func TestSubPath(t *testing.T) {
	deep := http.StripPrefix("/deep", handler)
	recorder := httptest.NewRecorder()
	deep.ServeHTTP(recorder, httptest.NewRequest("GET", "/deep/", nil))
	for _, link := range append(links(recorder.Body.String()), "") {
		recorder := httptest.NewRecorder()
		deep.ServeHTTP(recorder, httptest.NewRequest("GET", "/deep/"+link, nil))
		if recorder.Code != 200 {
			t.Errorf("/deep/%s: status %d", link, recorder.Code)
		}
	}
}

// TestEncoding: if it fails, some clients get bytes that they cannot read, or
// all clients wait for three times as many.
func TestEncoding(t *testing.T) {
	tests := []struct {
		name, path, accept string
		packed             bool
	}{
		{"any browser", script, "gzip, deflate, br, zstd", true},
		{"upper case", script, "GZIP", true},
		{"low weight", script, "br, gzip;q=0.1", true},
		{"spaces", script, "br , gzip ; Q=1", true},
		{"whatever", script, "*", true},
		{"no header", script, "", false},
		{"gzip refused", script, "gzip;q=0", false},
		{"gzip refused in full", script, "br, gzip;q=0.000", false},
		{"all but gzip", script, "gzip;q=0, *", false},
		{"nothing welcome", script, "*;q=0", false},
		{"unreadable weight", script, "gzip;q=much", false},
		{"unknown parameter", script, "gzip;level=9", false},
		{"other coding", script, "br", false},
		{"longer name", script, "gzipped", false},
		{"small files are not packed", icon, "gzip", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			response := get(t, "GET", test.path, "Accept-Encoding", test.accept)
			if got := response.Header.Get("Content-Encoding") == "gzip"; got != test.packed {
				t.Errorf("packed: %v", got)
			}
			if got := response.Header.Get("Vary") == "Accept-Encoding"; got != (test.path == script) {
				t.Errorf("Vary: %q", response.Header.Get("Vary"))
			}
			if got, want := text(t, response), text(t, get(t, "GET", test.path)); got != want {
				t.Errorf("%d bytes arrive, want %d", len(got), len(want))
			}
		})
	}
}

// TestCaching: if it fails, browsers show an old page after an update, or load a
// whole editor again at every visit.
func TestCaching(t *testing.T) {
	const forever = "public, max-age=31536000, immutable"
	for _, link := range links(text(t, get(t, "GET", "/"))) {
		if got := get(t, "GET", "/"+link).Header.Get("Cache-Control"); got != forever {
			t.Errorf("%s: Cache-Control %q", link, got)
		}
	}
	for _, target := range []string{"/", script, script + "?v=old"} {
		if got := get(t, "GET", target).Header.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control %q", target, got)
		}
	}
}

// TestETag: if it fails, browsers load again what they have, or take the packed
// form for the plain one.
func TestETag(t *testing.T) {
	for _, target := range []string{"/", icon, script} {
		for _, accept := range []string{"gzip", ""} {
			tag := get(t, "GET", target, "Accept-Encoding", accept).Header.Get("ETag")
			again := get(t, "GET", target, "Accept-Encoding", accept, "If-None-Match", tag)
			if tag == "" || again.StatusCode != http.StatusNotModified {
				t.Errorf("%s: ETag %q got status %d", target, tag, again.StatusCode)
			}
			if status := get(t, "GET", target, "If-None-Match", `"old"`).StatusCode; status != 200 {
				t.Errorf("%s: old ETag got status %d", target, status)
			}
		}
	}
	packed := get(t, "GET", script, "Accept-Encoding", "gzip").Header.Get("ETag")
	if status := get(t, "GET", script, "If-None-Match", packed).StatusCode; status != 200 {
		t.Errorf("the ETag of the packed form got status %d for the plain one", status)
	}
}

// TestFiles: if it fails, a file is damaged, or of a kind that browsers refuse.
func TestFiles(t *testing.T) {
	site, err := load()
	if err != nil {
		t.Fatal(err)
	}
	for name := range site {
		response := get(t, "GET", name)
		if response.Header.Get("Content-Type") == "" {
			t.Errorf("%s: no content type", name)
		}
		if strings.TrimSpace(text(t, response)) == "" {
			t.Errorf("%s is empty", name)
		}
	}
}

// TestMisspeltLink: if it fails, a misspelt file name in the page is
// found by its readers instead of here.
func TestMisspeltLink(t *testing.T) {
	parse := func(root *template.Template) (*template.Template, error) {
		return root.Parse(`{{asset "/missing.js"}}`)
	}
	if err := (static.Site{}).AddPage("/", "", parse, nil); err == nil {
		t.Error("a page refers to a file that is not there")
	}
}
