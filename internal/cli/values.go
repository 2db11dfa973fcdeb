package cli

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// readTimes and readNumbers read the values of flags in place of kong, whose errors
// are those of the standard library.
var readTimes = kong.MapperFunc(func(c *kong.DecodeContext, target reflect.Value) error {
	text, err := c.Scan.PopValue("time")
	if err != nil {
		return err
	}
	d, err := parseTime(text.String())
	target.SetInt(int64(d))
	return err
})

var readNumbers = kong.MapperFunc(func(c *kong.DecodeContext, target reflect.Value) error {
	text, err := c.Scan.PopValue("number")
	if err != nil {
		return err
	}
	n, err := parseNumber(text.String())
	if err != nil {
		return err
	}
	if target.CanUint() {
		if n < 0 {
			return fmt.Errorf("%q is less than 0", text)
		}
		target.SetUint(uint64(n))
		return nil
	}
	if target.OverflowInt(n) {
		return fmt.Errorf("%q is too large", text)
	}
	target.SetInt(n)
	return nil
})

// timeUnits are what people write, and the unit that is meant.
var timeUnits = map[string]time.Duration{
	"ms": time.Millisecond, "msec": time.Millisecond, "msecs": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"": time.Second, "s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
	"w": 7 * 24 * time.Hour, "week": 7 * 24 * time.Hour, "weeks": 7 * 24 * time.Hour,
}

// timePart is a number and its unit.
var timePart = regexp.MustCompile(`([0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z]*)`)

// parseTime reads a time as Go writes it, and says how to write another one.
func parseTime(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	d, err := time.ParseDuration(text)
	switch {
	case err == nil:
		return d, nil
	case text == "":
		return 0, errors.New("there is no time: say 30s, 10m or 720h")
	}
	meant, ok := meantTime(text)
	if !ok {
		return 0, fmt.Errorf("%q is not a time such as 30s, 10m or 720h", text)
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%q has no unit: say %s", text, shortTime(meant))
	}
	return 0, fmt.Errorf("%q is not written as times are here: say %s", text, shortTime(meant))
}

// meantTime is the time that a person means by a text.
func meantTime(text string) (d time.Duration, ok bool) {
	unsigned := strings.TrimLeft(text, "+-")
	if strings.TrimSpace(timePart.ReplaceAllString(unsigned, "")) != "" {
		return 0, false
	}
	below := time.Second // the unit of a number without one: the next smaller one, as in 1h30
	for _, part := range timePart.FindAllStringSubmatch(unsigned, -1) {
		unit, known := timeUnits[strings.ToLower(part[2])]
		n, err := strconv.ParseFloat(strings.Replace(part[1], ",", ".", 1), 64)
		if part[2] == "" {
			unit = below
		}
		if below = time.Second; unit == time.Hour {
			below = time.Minute
		}
		if d += time.Duration(n * float64(unit)); !known || err != nil || d < 0 {
			return 0, false
		}
	}
	if strings.HasPrefix(text, "-") {
		d = -d
	}
	return d, true
}

// shortTime writes a time without what is 0 in it.
func shortTime(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// thousands is a number whose digits are in groups.
var thousands = regexp.MustCompile(`^\d{1,3}([,_' ]\d{3})+$`)

// parseNumber reads a whole number, and says how to write another one.
func parseNumber(text string) (int64, error) {
	text = strings.TrimSpace(text)
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%q is too large", text)
	}
	if thousands.MatchString(text) {
		return 0, fmt.Errorf("%q is not a whole number: say %s", text, strings.NewReplacer(",", "", "_", "", "'", "", " ", "").Replace(text))
	}
	return 0, fmt.Errorf("%q is not a whole number such as 100", text)
}
