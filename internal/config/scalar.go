package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/aispend/aispend/spend"
)

// parseDuration reads 15m, 36h, 90d, 1w, 1h30m or 0, as Prometheus does.
func parseDuration(s string) (time.Duration, error) {
	d, err := model.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf(
			"%s is not a duration: write a number with a unit, such as 90s, 15m, 36h or 7d", quote(s))
	}
	return time.Duration(d), nil
}

// formatDuration writes a duration the way people write it into the file: whole
// days as days, anything else in the largest units that are exact.
func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d%time.Hour == 0:
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	default:
		return model.Duration(d).String()
	}
}

// parseAmount reads an amount of a cap; empty means none.
func parseAmount(s string) (spend.Money, error) {
	if strings.TrimSpace(s) == "" {
		return spend.Money{}, nil
	}
	m, err := spend.ParseMoney(s)
	switch {
	case errors.Is(err, spend.ErrMoneyRange):
		return spend.Money{}, fmt.Errorf("%s is out of range", quote(s))
	case err != nil:
		return spend.Money{}, fmt.Errorf(
			"%s is not an amount: write plain US dollars such as 500 or 49.99, or 0 for none", quote(s))
	case m.Sign() < 0:
		return spend.Money{}, fmt.Errorf("%s is negative: write a positive amount, or 0 for none", quote(s))
	}
	return m, nil
}

// AccountRef names an account of a provider; it is written provider/account.
type AccountRef struct {
	Provider string
	Account  string
}

// String returns "openai/default".
func (a AccountRef) String() string { return a.Provider + "/" + a.Account }

// MarshalText writes String.
func (a AccountRef) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads provider/account.
func (a *AccountRef) UnmarshalText(b []byte) error {
	provider, account, ok := strings.Cut(string(b), "/")
	if !ok || provider == "" || !validAccount(account) {
		return fmt.Errorf("%s is not of the form provider/account, such as openai/default", quote(string(b)))
	}
	a.Provider, a.Account = provider, account
	return nil
}

// validAccount bounds account names, so that they are safe in labels, paths,
// store keys and the form provider/account.
func validAccount(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '.', r == '-':
		default:
			return false
		}
	}
	return true
}
