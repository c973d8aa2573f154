// Command api serves Exporthub's page, API and realtime endpoint. With -embedded it is the whole
// system in one process.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Environ(), world{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Dotenv: ".env"}); err != nil {
		fmt.Fprintln(os.Stderr, "exporthub api:", err)
		os.Exit(1)
	}
}

// world is what run reaches outside its arguments.
type world struct {
	In     io.Reader
	Out    io.Writer // for people: addresses, logins, results
	Err    io.Writer // logs
	Dotenv string    // path of the .env file; "" is none
}
