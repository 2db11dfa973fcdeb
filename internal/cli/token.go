package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"foyer/internal/folder"

	"golang.org/x/term"
)

// askToken stands for a token that is typed at a terminal.
const askToken = "-"

// terminalDevice is the terminal of a process that has its input from elsewhere.
const terminalDevice = "/dev/tty"

// givenToken is a token as the command line gives it: in a file, typed when it
// is "-", or as it is. An empty one is none.
func (p *program) givenToken(ctx context.Context, token folder.Secret, file string) (folder.Secret, error) {
	switch {
	case file != "":
		return folder.ReadSecret(file)
	case token == askToken:
		return p.ask(ctx, "Token: ")
	}
	return token, nil
}

// ask asks for a secret at the terminal, which does not show it.
func (p *program) ask(ctx context.Context, prompt string) (folder.Secret, error) {
	in, _ := p.stdin.(*os.File)
	if !isTerminal(p.stdin) {
		tty, err := os.OpenFile(terminalDevice, os.O_RDWR, 0)
		if err != nil {
			return "", usagef("there is no terminal to type a token at: name a file with --token-file")
		}
		defer tty.Close()
		in = tty
	}
	return readHidden(ctx, in, p.stderr, prompt)
}

// readHidden reads a line of a terminal. When ctx ends first, the terminal is
// left as it was.
func readHidden(ctx context.Context, in *os.File, out io.Writer, prompt string) (folder.Secret, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for a token: %w", err)
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	fmt.Fprint(out, prompt)
	// Reading a terminal cannot be interrupted. Nobody waits for this goroutine
	// when ctx ends: the program ends then, too.
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		fmt.Fprintln(out)
		token := folder.Secret(strings.TrimSpace(string(l.text)))
		if err := l.err; err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("asking for a token: %w", err)
		}
		if token == "" {
			return "", errors.New("no token was typed")
		}
		return token, nil
	case <-ctx.Done():
		term.Restore(fd, before)
		fmt.Fprintln(out)
		return "", context.Cause(ctx)
	}
}
