package routes_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"

	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/exporttest"
)

// The digest in the record, the event and the answer's headers is that of the file's bytes.
func TestDigestOfAFile(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(3000)
	for _, format := range []string{"csv", "xlsx", "jsonl"} {
		uuid, links := exported(t, h, dataset.Request{Format: format})
		s := h.Server()
		res, file := h.Get(s, links["direct"], "")
		sum := sha256.Sum256(file)
		if want := "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":"; res.Header.Get("Repr-Digest") != want {
			t.Errorf("%s: Repr-Digest %q, want %q", format, res.Header.Get("Repr-Digest"), want)
		}
		var record struct {
			SHA256 string
			Event  struct{ SHA256 string }
		}
		_, text := h.Get(s, "/api/exports/"+uuid, h.Token("owner"))
		if err := json.Unmarshal(text, &record); err != nil {
			t.Fatal(err)
		}
		if want := hex.EncodeToString(sum[:]); record.SHA256 != want || record.Event.SHA256 != want {
			t.Errorf("%s: record %s, event %s, want %s", format, record.SHA256, record.Event.SHA256, want)
		}
		// A part of the file still has the digest of the whole (RFC 9530, section 3).
		if part, _ := h.Get(s, links["direct"], "", "Range", "bytes=1-3"); part.Header.Get("Repr-Digest") != res.Header.Get("Repr-Digest") {
			t.Errorf("%s: a range has Repr-Digest %q", format, part.Header.Get("Repr-Digest"))
		}
	}
}
