// Package account serves the pages that links in mails open: register, choose a new password, verify an address, undo a
// change, log in, also by providers, and the account itself. They are plain HTML and scripts without a framework, which call
// the mutations at "graphql" beside "account/".
//
// Programs may have pages of their own instead. The package shows nothing that the API does not.
package account

import (
	"embed"
	"html/template"
	"net/http"

	"github.com/latchkey/latchkey/internal/static"
	"github.com/latchkey/latchkey/web/session"
)

//go:embed page
var files embed.FS

// A page is what index.html shows.
type page struct {
	App   string // the name of the service
	Name  string // the path below /account/ and the element of the script
	Title string
	Root  string // leads from the page to the paths' beginning
}

var pages = []page{
	{Name: "", Title: "Your account"},
	{Name: "login", Title: "Log in"},
	{Name: "callback", Title: "Log in"},
	{Name: "register", Title: "Register"},
	{Name: "reset-password", Title: "New password"},
	{Name: "verify-email", Title: "Confirm your address"},
	{Name: "undo-email-change", Title: "Restore your address"},
}

// CallbackPath is the page to which providers send users back.
const CallbackPath = "/account/callback"

// Handler serves the pages below "/account/". app is the name of the service. Other paths are not found.
func Handler(app string) http.Handler {
	return static.Lazy(func() (static.Site, error) { return load(app) })
}

func load(app string) (static.Site, error) {
	s := static.Site{}
	s.Add("/account/session.js", session.Script)
	for _, name := range []string{"provider.js", "passkey.js", "account.js", "account.css"} {
		data, err := files.ReadFile("page/" + name)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the file
		}
		s.Add("/account/"+name, data)
	}
	for _, p := range pages {
		p.App, p.Root = app, "../"
		err := s.AddPage("/account/"+p.Name, p.Root, func(t *template.Template) (*template.Template, error) {
			return t.New("index.html").ParseFS(files, "page/index.html") //nolint:wrapcheck // it names the file
		}, p)
		if err != nil {
			return nil, err //nolint:wrapcheck // it names the page
		}
	}
	return s, nil
}
