package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/config"
)

// adminAccount is the login of the administrator that the first start makes.
const adminAccount = "admin"

// passedOn are the programs' variables that are set in the environment.
func passedOn(environ []string) map[string]string {
	known := map[string]bool{}
	// Read from the programs' own configuration, so that a new variable is passed on by itself.
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		known[f.Tag.Get("env")] = true
	}
	// These say where the parts are, and what only embedded mode knows.
	for _, own := range []string{"HTTP_ADDR", "METRICS_ADDR", "DEMO", "DEMO_ROWS", "-", ""} {
		delete(known, own)
	}
	variables := map[string]string{}
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); known[name] {
			variables[name] = value
		}
	}
	return variables
}

// keptSecret returns the AUTH_SECRET of this installation, made at the first start.
func keptSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	// An unreadable secret must not be replaced: every token and link would end.
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	secret := hex.EncodeToString(raw)
	return secret, os.WriteFile(path, []byte(secret+"\n"), 0o600)
}

// prepare makes the tables, the demo rows and the administrator. It returns the administrator's
// password when there was none before.
func prepare(ctx context.Context, s settings, variables map[string]string, log *slog.Logger) (password string, err error) {
	if err := seed(ctx, s, variables, log); err != nil {
		return "", err
	}
	done := filepath.Join(s.Data, "administrator")
	if _, err := os.Stat(done); !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	// 16 letters and digits of base 32 are 80 bits. Lower case, since people copy it by hand.
	password = strings.ToLower(rand.Text()[:16])
	// By the program itself, as an operator would: the password is hashed with its own parameters.
	create := command(s, "api", variables)
	create.Args = append(create.Args, "-create-admin", adminAccount)
	create.Stdin = strings.NewReader(password + "\n")
	var printed bytes.Buffer
	create.Stdout = &printed
	create.Stderr = &printed
	if err := create.Start(); err != nil {
		return "", err
	}
	stopped := context.AfterFunc(ctx, func() { _ = create.Process.Kill() })
	defer stopped()
	if err := create.Wait(); err != nil {
		return "", fmt.Errorf("create the administrator: %w\n%s", err, &printed)
	}
	// The mark comes last. A start that was interrupted before it makes the administrator at the
	// next.
	return password, os.WriteFile(done, []byte(adminAccount+"\n"), 0o600)
}

// load reads the variables as the programs do, so that a bad one is reported here and not in the
// log of a part that is started again and again.
func load(variables map[string]string) (config.Config, error) {
	var environ []string
	for name, value := range variables {
		environ = append(environ, name+"="+value)
	}
	cfg, err := config.Load(environ, "", config.Mode{})
	if err != nil {
		return cfg, fmt.Errorf("the configuration has problems:\n%w", err)
	}
	return cfg, nil
}

// seed runs the migrations and fills empty tables with demo rows.
func seed(ctx context.Context, s settings, variables map[string]string, log *slog.Logger) error {
	cfg, err := load(variables)
	if err != nil {
		return err
	}
	parts, err := wire.Build(ctx, cfg, log, wire.Options{})
	if err != nil {
		return err
	}
	defer parts.Close()
	return parts.SeedDemoRows(ctx, s.Rows)
}
