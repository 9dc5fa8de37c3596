package auth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/latchkey/latchkey/auth"
)

// T122.
func TestAStructWithASecretIsNeverPrinted(t *testing.T) {
	const secret = "do-not-print-this"
	password := secret
	for _, v := range []any{
		auth.LoginInput{Username: "ann", Password: secret}, &auth.RefreshInput{RefreshToken: new(secret)},
		auth.LoginPayload{AccessToken: secret, RefreshToken: secret}, auth.CreateUserInput{Password: &password},
		auth.ChangePasswordInput{CurrentPassword: secret, NewPassword: secret}, auth.SetUserPasswordInput{Password: secret},
		&auth.CreateAPITokenPayload{Token: secret},
	} {
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("", "value", v)
		text, err := json.Marshal(v)
		printed := fmt.Sprintf("%v %+v %#v %s %q %d", v, v, v, v, v, []any{v}) + log.String() + string(text)
		if err != nil || strings.Contains(printed, secret) {
			t.Errorf("%T prints %s (%v)", v, printed, err)
		}
	}
}
