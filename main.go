// Foyer is a self-hosted server for live rooms and the lobby in front of them.
//
// Without a command it serves: RTMP with the applications lobby and room, the
// web pages, and the API, in one process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"foyer/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal stops gracefully. After it, signals have their usual
	// effect again, so that a second one stops at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
