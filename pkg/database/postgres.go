package database

import (
	"database/sql"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

func openPostgres(src source, o Options) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(src.raw)
	if err != nil {
		// the driver takes the password out
		return nil, fmt.Errorf("postgres database URL: %w", err)
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = o.ConnectTimeout
	}
	cfg.DialFunc = dialer(o).DialContext
	for name, value := range map[string]string{
		"application_name":                    o.AppName,
		"client_encoding":                     "UTF8",
		"timezone":                            "UTC",
		"statement_timeout":                   millis(o.StatementTimeout),
		"lock_timeout":                        millis(o.LockTimeout),
		"idle_in_transaction_session_timeout": millis(o.IdleWrite),
		// A cancellation that overtakes its statement is lost; this way the server notices that
		// nobody listens.
		"client_connection_check_interval": "2000",
	} {
		if _, given := cfg.RuntimeParams[name]; !given {
			cfg.RuntimeParams[name] = value
		}
	}
	return stdlib.OpenDB(*cfg), nil
}

// dialer notices a peer that is gone without a word within half a minute, instead of the many
// minutes of the drivers' and systems' defaults.
func dialer(o Options) *net.Dialer {
	return &net.Dialer{
		Timeout:         o.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
}

// millis is a duration as PostgreSQL's timeouts take it; negative is 0, no timeout.
func millis(d time.Duration) string { return strconv.FormatInt(max(d, 0).Milliseconds(), 10) }
