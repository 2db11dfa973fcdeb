//go:build 386 || arm || mips || mipsle

package rtmp_test

import "testing"

func publishWithGoRTMP(t *testing.T, _ string) {
	t.Fatal("go-rtmp does not build where an int has 32 bits")
}
