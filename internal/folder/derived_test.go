package folder

import (
	"regexp"
	"testing"
)

func TestStreamKey(t *testing.T) {
	blue := StreamKey("secret", "blue", 0)
	if !regexp.MustCompile(`^[a-z2-7]{24}$`).MatchString(blue) {
		t.Errorf("key %q is not easy to paste", blue)
	}
	if blue != StreamKey("secret", "blue", 0) || blue == StreamKey("secret", "jazz", 0) || blue == StreamKey("other", "blue", 0) {
		t.Error("a key must follow from the secret and the room, and from nothing else")
	}
	if want := "howazf5edmjcwvo4a4qnqwsx"; blue != want {
		t.Errorf("key of blue is %s, want %s: keys that people have typed in must stay valid", blue, want)
	}
}
