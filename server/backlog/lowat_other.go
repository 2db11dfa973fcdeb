//go:build !linux

package backlog

import "crypto/tls"

func setLowWater(*tls.Conn) {}
