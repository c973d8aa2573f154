package program

import (
	"testing"

	"exporthub/pkg/storage/qiniu/fake"
)

// The account and the private bucket of every fake Kodo that StartKodo starts. The keys are long
// and unlike any other text, so that a log that holds one is found.
const (
	KodoAccessKey = "fake-access-key-4711"
	KodoSecretKey = "fake-secret-key-4712"
	KodoPrivate   = "exports"
)

// StartKodo starts a fake of Qiniu's Kodo and returns the variables that have files kept there.
func StartKodo(t testing.TB) (*fake.Running, []string) {
	t.Helper()
	k := fake.Start(t, fake.Options{
		AccessKey: KodoAccessKey,
		SecretKey: KodoSecretKey,
		Buckets: []fake.Bucket{
			{Name: "covers", Public: true},
			{Name: KodoPrivate},
		},
	})
	return k, []string{
		"STORAGE=qiniu",
		"STORAGE_DIR=",
		"QINIU_ACCESS_KEY=" + KodoAccessKey,
		"QINIU_SECRET_KEY=" + KodoSecretKey,
		"QINIU_BUCKET=covers",
		"QINIU_PRIVATE_BUCKET=" + KodoPrivate,
		"QINIU_DOMAIN=" + k.Domain("covers"),
		"QINIU_PRIVATE_DOMAIN=" + k.Domain(KodoPrivate),
		"QINIU_UP_HOSTS=" + k.URL,
		"QINIU_RS_HOST=" + k.URL,
		"QINIU_TIMEOUT=5s",
	}
}
