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
	"embed"
	"html/template"
	"io/fs"
	"net/http"
	"path"

	"github.com/latchkey/latchkey/internal/static"
	"github.com/latchkey/latchkey/web/session"
)

// files has assets, which are third-party files compressed with gzip, and page, which is our own.
//
//go:embed assets page
var files embed.FS

// Handler serves the page at "/" and its files below "/graphiql/". Other paths are
// not found. To mount it below another path, use [http.StripPrefix].
func Handler() http.Handler { return static.Lazy(load) }

// load returns the embedded files.
func load() (static.Site, error) {
	s := static.Site{}
	s.Add("/graphiql/session.js", session.Script)
	for _, dir := range []string{"assets", "page"} {
		entries, err := fs.ReadDir(files, dir)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the file
		}
		for _, entry := range entries {
			data, err := fs.ReadFile(files, path.Join(dir, entry.Name()))
			if err != nil {
				return nil, err //nolint:wrapcheck // it names the file
			}
			if entry.Name() != "index.html" {
				s.Add("/graphiql/"+entry.Name(), data)
			}
		}
	}
	return s, s.AddPage("/", "", func(t *template.Template) (*template.Template, error) {
		return t.New("index.html").ParseFS(files, "page/index.html") //nolint:wrapcheck // it names the file
	}, nil)
}
