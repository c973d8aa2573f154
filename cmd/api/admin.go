package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/errs"
)

// maxPasswordLine bounds what is read as a password.
const maxPasswordLine = 4 << 10

// createAdmin makes an administrator with the password that is the first line of standard input.
func createAdmin(ctx context.Context, parts *wire.Parts, account string, w world) error {
	line, err := bufio.NewReader(io.LimitReader(w.In, maxPasswordLine)).ReadString('\n')
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the password from standard input: %w", err)
	}
	password := strings.TrimRight(line, "\r\n")
	if password == "" {
		return fmt.Errorf("the password is the first line of standard input, and there was none")
	}
	if err := parts.Auth.CreateAdmin(ctx, account, password); err != nil {
		e := errs.As(err)
		switch {
		case e != nil && len(e.Fields) > 0:
			return fmt.Errorf("create administrator: %s: %s", e.Fields[0].Name, e.Fields[0].Reason)
		case e != nil && e.Message != "":
			return fmt.Errorf("create administrator: %s", e.Message)
		}
		return fmt.Errorf("create administrator: %w", err)
	}
	fmt.Fprintf(w.Out, "administrator %s can log in at %s\n", account, parts.Config.PublicURL)
	return nil
}
