package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"foyer/internal/backup"
	"foyer/internal/node"
	"foyer/store"
)

// restoreCommand makes a data folder out of a backup.
type restoreCommand struct {
	File string       `arg:"" help:"A file of 'foyer backup'. - is the standard input."`
	NATS node.NATSURL `name:"nats" placeholder:"URL" help:"Put the store of the backup into this NATS, which must be empty, and make no data folder."`
	CA   string       `name:"nats-ca" placeholder:"FILE" help:"Certificates (PEM) of the authority that signs those of --nats."`
	Data string       `default:"foyer-data" placeholder:"DIR" help:"The data folder to make; it must be empty or not be there. Default: ${default}."`
}

// Help is shown by restore --help.
func (restoreCommand) Help() string {
	return `The folder is there as it was, or not at all: the file is read and checked first, then everything is put in place. Messages keep their numbers and times, so people who come back find what they missed. With --nats all of the store goes there, or nothing; the nodes are stopped meanwhile. The secrets and recordings of the backup are not for NATS: a restore without --nats makes a folder of them.`
}

// Run reads and checks the archive, then puts everything in place.
func (cmd *restoreCommand) Run(ctx context.Context, p *program) error {
	if cmd.File == "-" && isTerminal(p.stdin) {
		return usagef("no backup can be typed: name a file, or send one with < or |")
	}
	to := cmd.Data
	if cmd.NATS != "" {
		to = cmd.NATS.String()
	} else if err := backup.Vacant(to); err != nil {
		return err
	}
	in := p.stdin
	if cmd.File != "-" {
		f, err := os.Open(cmd.File)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	show := &byteMeter{w: p.stderr, terminal: isTerminal(p.stderr), what: "read"}
	var note *backup.Note
	var err error
	if cmd.NATS != "" {
		note, err = backup.RestoreNATS(ctx, store.Config{URL: string(cmd.NATS), CA: cmd.CA}, cmd.Data, io.TeeReader(in, show))
	} else {
		note, err = backup.Restore(ctx, cmd.Data, io.TeeReader(in, show))
	}
	show.end()
	if err != nil {
		return fmt.Errorf("restoring %s: %w", to, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%s: as it was on node %s at %s\n", to, note.Node, note.At.Format(time.RFC3339))
	if err == nil && note.Secrets == 0 && cmd.NATS == "" {
		_, err = fmt.Fprintln(p.stdout, "There are no secrets in this backup. The next start makes new ones, unless they are set: the admin token, the lobby's password and all stream keys change.")
	}
	return err
}
