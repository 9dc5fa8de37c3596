package mail

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
	text "text/template"
	"time"

	"golang.org/x/text/language"
)

// Kinds are the kinds of messages. Each has a template LOCALE/KIND.txt, and may have a LOCALE/KIND.html.
var Kinds = []string{
	"account-changed", "account-deleted", "address-in-use", "email-changed", "email-replaced", "invitation", "login", "new-device", "no-account",
	"password-changed", "register", "reset-password", "verify-email",
}

// Data is what a template can use.
type Data struct {
	App      string        // the name of the service
	Link     string        // the URL to open; "" if the message has none
	Code     string        // to be typed instead; "" if the message has none
	Lifetime time.Duration // of Link and Code
	Username string        // "" in messages to an address that is not verified: its owner must not read a text of others
	Email    string        // the new address, in email-changed
	Device   string        // the browser and system, such as "Firefox on Linux"
	IP       string        // from where
	At       time.Time     // when, in UTC
	Detail   string        // what has changed, in account-changed
}

//go:embed templates
var embedded embed.FS

// Templates make messages. A text template begins with the line "Subject: …" and an empty line. Where there is no HTML
// template in the same directory, the HTML is made from the text: a paragraph that is only the link becomes a button.
type Templates struct {
	sources []fs.FS // the program's own, then the embedded ones
	locales []string
	matcher language.Matcher
}

// NewTemplates reads the program's own templates, which may be nil, and the embedded ones. It executes each once, so that
// errors are found when the server starts.
func NewTemplates(own fs.FS) (*Templates, error) {
	defaults, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, fmt.Errorf("mail templates: %w", err)
	}
	t := &Templates{sources: []fs.FS{defaults}, locales: []string{"en"}}
	if own != nil {
		t.sources = []fs.FS{own, defaults}
	}
	for _, source := range t.sources {
		if err := t.addLocales(source); err != nil {
			return nil, err
		}
	}
	tags := make([]language.Tag, len(t.locales))
	for i, locale := range t.locales {
		if tags[i], err = language.Parse(locale); err != nil {
			return nil, fmt.Errorf("mail templates: the directory %q must be named by a language such as de or pt-BR", locale)
		}
	}
	t.matcher = language.NewMatcher(tags)
	if err := t.check(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Templates) addLocales(source fs.FS) error {
	entries, err := fs.ReadDir(source, ".")
	if err != nil {
		return fmt.Errorf("mail templates: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(t.locales, e.Name()) {
			t.locales = append(t.locales, e.Name())
		}
	}
	return nil
}

// check renders every template with an example.
func (t *Templates) check() error {
	example := Data{App: "Example", Link: "https://example.com/#x", Code: "BCDFGHJK", Lifetime: time.Hour, Username: "ann", Email: "ann@example.com", Device: "Firefox on Linux", IP: "192.0.2.1", Detail: "x"}
	var errs []error
	for _, locale := range t.locales {
		for _, kind := range Kinds {
			_, err := t.Render(kind, locale, example)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Locale returns the language of the templates that suits a user's locale (BCP 47) best; English if none does.
func (t *Templates) Locale(wanted string) string {
	_, i := language.MatchStrings(t.matcher, wanted)
	return t.locales[i]
}

// Render makes the message of a kind in the language that suits the locale best. The recipient and the ID are the caller's.
func (t *Templates) Render(kind, locale string, d Data) (*Message, error) {
	source, dir, err := t.find(kind, t.Locale(locale))
	if err != nil {
		return nil, err
	}
	name := path.Join(dir, kind)
	subject, body, err := renderText(source, name+".txt", d)
	if err != nil {
		return nil, fmt.Errorf("mail template %s.txt: %w", name, err)
	}
	html, err := renderHTML(source, name+".html", subject, body, d)
	if err != nil {
		return nil, fmt.Errorf("mail template %s.html: %w", name, err)
	}
	return &Message{Subject: subject, Text: body, HTML: html}, nil
}

// find returns where the text template is: the language's, by the program or embedded, or else the English one.
func (t *Templates) find(kind, locale string) (fs.FS, string, error) {
	for _, dir := range []string{locale, "en"} {
		for _, source := range t.sources {
			if _, err := fs.Stat(source, path.Join(dir, kind+".txt")); err == nil {
				return source, dir, nil
			}
		}
	}
	return nil, "", fmt.Errorf("mail templates: there is no %s.txt", kind)
}

func renderText(source fs.FS, name string, d Data) (subject, body string, err error) {
	file, err := fs.ReadFile(source, name)
	if err != nil {
		return "", "", err //nolint:wrapcheck // wrapped by Render
	}
	parsed, err := text.New(name).Option("missingkey=error").Parse(string(file))
	if err != nil {
		return "", "", err //nolint:wrapcheck // wrapped by Render
	}
	var b strings.Builder
	if err := parsed.Execute(&b, d); err != nil {
		return "", "", err //nolint:wrapcheck // wrapped by Render
	}
	first, body, _ := strings.Cut(b.String(), "\n")
	subject, ok := strings.CutPrefix(first, "Subject: ")
	if !ok || strings.TrimSpace(subject) == "" {
		return "", "", errors.New(`must begin with a line "Subject: …"`)
	}
	return strings.TrimSpace(subject), strings.TrimSpace(body) + "\n", nil
}

// A page is what layout.html shows.
type page struct {
	Data
	Subject    string
	Paragraphs []string
}

func renderHTML(source fs.FS, name, subject, body string, d Data) (string, error) {
	content := any(d)
	file, err := fs.ReadFile(source, name)
	if errors.Is(err, fs.ErrNotExist) {
		content = page{d, subject, strings.Split(strings.TrimSpace(body), "\n\n")}
		file, err = embedded.ReadFile("templates/layout.html")
	}
	if err != nil {
		return "", err //nolint:wrapcheck // wrapped by Render
	}
	parsed, err := template.New(name).Parse(string(file))
	if err != nil {
		return "", err //nolint:wrapcheck // wrapped by Render
	}
	var b bytes.Buffer
	err = parsed.Execute(&b, content)
	return b.String(), err //nolint:wrapcheck // wrapped by Render
}
