package certs

import (
	"context"
	"log/slog"

	"go.uber.org/zap/zapcore"
)

// A teller writes certmagic's records into our log: errors and warnings at their
// level, and progress at level debug.
type teller struct{ log *slog.Logger }

// Enabled implements zapcore.Core.
func (t teller) Enabled(l zapcore.Level) bool {
	return t.log.Enabled(context.Background(), level(l))
}

func level(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// With implements zapcore.Core.
func (t teller) With(fields []zapcore.Field) zapcore.Core {
	return teller{t.log.With(attrs(fields)...)}
}

// Check implements zapcore.Core.
func (t teller) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if t.Enabled(e.Level) {
		return ce.AddCore(e, t)
	}
	return ce
}

// Write implements zapcore.Core.
func (t teller) Write(e zapcore.Entry, fields []zapcore.Field) error {
	t.log.Log(context.Background(), level(e.Level), "certificates looked after", append(attrs(fields), "said", e.Message)...)
	return nil
}

// Sync implements zapcore.Core.
func (teller) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	all := make([]any, 0, 2*len(enc.Fields)+2)
	for k, v := range enc.Fields {
		all = append(all, k, v)
	}
	return all
}
