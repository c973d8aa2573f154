package wire

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// embeddedSecret returns the secret that embedded mode keeps in a file, made on the first start.
func embeddedSecret(path string) (string, error) {
	kept, err := os.ReadFile(path)
	if err == nil {
		if secret := strings.TrimSpace(string(kept)); len(secret) >= 64 {
			return secret, nil
		}
		return "", fmt.Errorf("%s is damaged: delete it to have a new secret made (everyone has to log in again)", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the kept secret: %w", err)
	}
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	secret := hex.EncodeToString(raw)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep the secret: %w", err)
	}
	// Under another name first: a crash in the middle must not leave half a secret.
	temp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // readable by its owner only
	if err != nil {
		return "", fmt.Errorf("keep the secret: %w", err)
	}
	_, err = temp.WriteString(secret + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("keep the secret: %w", err), os.Remove(temp.Name()))
	}
	return secret, nil
}
