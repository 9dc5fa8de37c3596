package app

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/latchkey/latchkey/graph/scalar"
	"golang.org/x/term"
)

// passwordFlags are the flags of commands that set a password.
type passwordFlags struct {
	PasswordStdin bool `help:"Read the password from standard input. By default it is asked for on a terminal, and otherwise generated and printed."`
}

// read returns the new password, and whether it was generated and must be shown. It returns early when the context ends.
func (f passwordFlags) read(ctx context.Context, io stdio) (password string, generated bool, err error) {
	terminal, _ := io.in.(*os.File)
	switch {
	case f.PasswordStdin:
		password, err = interruptible(ctx, func() (string, error) { return readLine(io.in) })
		if err == nil && password == "" {
			err = errors.New("empty line")
		}
		if err != nil {
			return "", false, fmt.Errorf("--password-stdin: no password on standard input (%w)", err)
		}
	case terminal != nil && term.IsTerminal(int(terminal.Fd())):
		if password, err = prompt(ctx, io.err, int(terminal.Fd())); err != nil {
			return "", false, err
		}
	}
	if password == "" {
		return generatePassword(), true, nil
	}
	if _, err := scalar.UnmarshalString(password); err != nil {
		return "", false, fmt.Errorf("password %w: GraphQL cannot transport it, so it could not be used to log in", err)
	}
	return password, false, nil
}

// readLine reads a line, without the line break and the byte order mark that PowerShell writes.
func readLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(in).ReadString('\n')
	if line = strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "\ufeff"); line != "" {
		err = nil // the last line may have no line break
	}
	return line, err
}

// prompt asks for a password on a terminal, without echo. It restores the terminal's state.
func prompt(ctx context.Context, w io.Writer, terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	defer func() { _ = term.Restore(terminal, before) }()
	fmt.Fprint(w, "Password (empty: generate one): ")
	text, err := interruptible(ctx, func() ([]byte, error) { return term.ReadPassword(terminal) })
	fmt.Fprintln(w)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}

// interruptible runs a function that waits for input. It returns early when the context ends.
func interruptible[T any](ctx context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var zero T
		return zero, errors.New("interrupted")
	}
}

// generatePassword returns a password of 130 random bits that is easy to copy.
func generatePassword() string {
	text := strings.ToLower(rand.Text())
	return text[:5] + "-" + text[5:10] + "-" + text[10:15] + "-" + text[15:20] + "-" + text[20:]
}

// showGenerated prints the user's password if it was generated. If printing fails, the error says how to set another.
func (p *program) showGenerated(w io.Writer, username, password string, generated bool) error {
	if !generated {
		return nil
	}
	if _, err := fmt.Fprintf(w, "password: %s  (shown only now)\n", password); err != nil {
		return fmt.Errorf("the generated password could not be shown: set another with %s: %w", p.command("user set-password "+username), err)
	}
	return nil
}
