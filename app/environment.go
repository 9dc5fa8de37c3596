package app

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"
	"github.com/vektah/gqlparser/v2/validator/core"

	"github.com/latchkey/latchkey/internal/lazy"
)

// Checks of environment variables, which other programs set too.

// serviceVariable matches the variables that Kubernetes and Docker set for a service or container whose name begins with
// "latchkey" (Kubernetes documentation, Service, "Environment variables").
var serviceVariable = lazy.Regexp(`^LATCHKEY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|^LATCHKEY_(\w+_)?PORT=(tcp|udp|sctp)://`)

// checkEnvironment rejects variables that look like settings but are not, because a typo must not silently leave a default
// in effect. It also rejects damaged values. An empty variable counts as not set.
func checkEnvironment(env []string, model *kong.Application) error {
	flags := environmentFlags(model)
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		switch same, known := flags[name]; {
		case !known && name != secretEnv:
			if err := checkUnknown(e, name, flags); err != nil {
				return err
			}
		case name == secretEnv: // surrounding white space is ignored
		case value == "":
			for _, flag := range same {
				flag.Tag.Envs, flag.Envs = nil, nil
			}
		default:
			if err := checkValue(name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// environmentFlags returns the flags of all commands by their environment variables.
func environmentFlags(model *kong.Application) map[string][]*kong.Flag {
	flags := map[string][]*kong.Flag{}
	for _, leaf := range append(model.Leaves(false), model.Node) {
		for _, f := range leaf.Flags {
			for _, name := range f.Envs {
				flags[name] = append(flags[name], f)
			}
		}
	}
	return flags
}

func checkUnknown(e, name string, flags map[string][]*kong.Flag) error {
	if !strings.HasPrefix(name, "LATCHKEY_") || strings.HasPrefix(name, "LATCHKEY_TEST_") || serviceVariable().MatchString(e) {
		return nil
	}
	names := []string{secretEnv}
	for known := range flags {
		names = append(names, known)
	}
	slices.Sort(names)
	if similar := core.SuggestionList(name, names); len(similar) > 0 {
		return fmt.Errorf("%s is not a setting; did you mean %s?", name, similar[0])
	}
	return fmt.Errorf("%s is not a setting: remove it, or see `serve --help` for the right name", name)
}

// checkValue rejects values with remains of an environment file: the carriage return of a Windows line, or quotes, which
// `docker --env-file` does not remove. Its errors do not repeat the value, which may contain a password.
func checkValue(name, value string) error {
	switch {
	case strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("%s contains a control character, such as the carriage return (CR) of a file with Windows line ends: remove it", name)
	case len(value) > 1 && strings.ContainsRune(`"'`, rune(value[0])) && value[len(value)-1] == value[0]:
		return fmt.Errorf("%s begins and ends with a quote, as `docker --env-file` leaves it: remove the quotes", name)
	case strings.TrimSpace(value) != value:
		return fmt.Errorf("%s begins or ends with a space: remove it", name)
	}
	return nil
}

// valueMappers parse values with error messages for users instead of Go programmers.
func valueMappers() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(
			kong.TypeMapper(reflect.TypeFor[time.Duration](), mapper("duration", parseDuration)).Apply(k),
			kong.TypeMapper(reflect.TypeFor[netip.Prefix](), mapper("network", parseNetwork)).Apply(k),
			kong.KindMapper(reflect.Int, mapper("number", parseInt)).Apply(k),
		)
	})
}

func mapper[T any](kind string, parse func(string) (T, error)) kong.MapperFunc {
	return func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto(kind, &text); err != nil {
			return err
		}
		v, err := parse(text)
		if err == nil {
			target.Set(reflect.ValueOf(v).Convert(target.Type()))
		}
		return err
	}
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("must be a duration in hours, minutes and seconds, such as 720h, 10m or 1m30s, not %q", text)
	}
	return d, nil
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("must be a whole number, not %q", text)
	}
	return n, nil
}

// parseNetwork parses a network, or a single address as a network of one address.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(addr.Unmap().WithZone(""), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("must be a network or an address, such as 10.0.0.0/8, 10.0.0.1 or fd00::/8, not %q", text)
	}
	return p, nil
}
