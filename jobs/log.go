package jobs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// asynqLogger takes asynq's lines. What it logs at info level is of use to us at debug level only.
type asynqLogger struct{ log *slog.Logger }

var _ asynq.Logger = asynqLogger{}

func (l asynqLogger) Debug(args ...any) { l.line(slog.LevelDebug, args) }
func (l asynqLogger) Info(args ...any)  { l.line(slog.LevelDebug, args) }
func (l asynqLogger) Warn(args ...any)  { l.line(slog.LevelWarn, args) }
func (l asynqLogger) Error(args ...any) { l.line(slog.LevelError, args) }

// Fatal only logs: a library does not decide whether the process ends.
func (l asynqLogger) Fatal(args ...any) { l.line(slog.LevelError, args) }

func (l asynqLogger) line(level slog.Level, args []any) {
	l.log.Log(context.Background(), level, "asynq", "text", fmt.Sprint(args...))
}

// LogRedis sends the lines of the Redis client library, which otherwise go to standard error, to a
// logger. It holds for the whole process: call it once, before the first client is made.
func LogRedis(log *slog.Logger) { redis.SetLogger(redisLogger{log}) }

type redisLogger struct{ log *slog.Logger }

func (l redisLogger) Printf(ctx context.Context, format string, args ...any) {
	l.log.WarnContext(ctx, "redis", "text", fmt.Sprintf(format, args...))
}
