package localserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long one question may take. A server that is starting answers within this or refuses.
const (
	redisTimeout    = time.Second
	postgresTimeout = 2 * time.Second
)

// AskRedis returns nil once a Redis answers PING. It speaks the one word itself: the client library
// logs every server that it can't reach, and while Redis reads its append-only file it answers
// LOADING in place of PONG.
func AskRedis(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: redisTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(redisTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+PONG\r\n" {
		err = fmt.Errorf("redis answers %q to PING", answer)
	}
	return err
}

// AskPostgres returns nil once a PostgreSQL takes connections.
func AskPostgres(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, postgresTimeout)
	defer cancel()
	// A connection and not only a port: PostgreSQL listens before it takes connections.
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}

// PostgresURL is the URL of the superuser of a PostgreSQL that was initialised with
// --username=postgres and --auth=trust.
func PostgresURL(address string) string {
	return "postgres://postgres@" + address + "/postgres?sslmode=disable"
}
