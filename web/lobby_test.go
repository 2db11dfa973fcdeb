package web

import (
	"regexp"
	"strings"
	"testing"
)

// far stands for other nodes, which are within reach or not.
type far bool

func (far) Put(string, []byte) {}

func (far) Delete(string) {}

func (f far) Watch(_ func(string, []byte), fresh func(bool)) (stop func()) {
	fresh(bool(f))
	return func() {}
}

// TestView: the API says how old the view of other nodes is, if there are some.
func TestView(t *testing.T) {
	t.Parallel()
	const words = "Other servers are out of reach"
	for _, tt := range []struct {
		name    string
		house   *house
		list    string
		visible bool
	}{
		{"alone", newHouse(t), `^\{"at":\d+,"rooms":`, false},
		{"within reach", newHouseAmong(t, far(true)), `^\{"at":\d+,"view":\{"fresh":true,"at":\d{13}\},"rooms":`, false},
		{"out of reach", newHouseAmong(t, far(false)), `^\{"at":\d+,"view":\{"fresh":false,"at":\d{13}\},"rooms":`, true},
	} {
		if _, body := tt.house.ask(t, "GET", "/api/v1/rooms", ""); !regexp.MustCompile(tt.list).MatchString(body) {
			t.Errorf("%s: %s", tt.name, body)
		}
		if _, body := tt.house.ask(t, "GET", "/", ""); strings.Contains(body, words) != tt.visible {
			t.Errorf("%s: the page says %q: %v", tt.name, words, !tt.visible)
		}
	}
}
