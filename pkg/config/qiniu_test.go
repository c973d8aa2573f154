package config

import (
	"fmt"
	"strings"
	"testing"
)

func qiniu(extra ...string) []string {
	return production(append([]string{
		"STORAGE=qiniu", "STORAGE_DIR=", "QINIU_ACCESS_KEY=ak-leak-123", "QINIU_SECRET_KEY=sk-leak-456", "QINIU_BUCKET=covers",
		"QINIU_PRIVATE_BUCKET=exports", "QINIU_DOMAIN=https://img.example.com", "QINIU_PRIVATE_DOMAIN=files.example.com",
		"QINIU_UP_HOSTS=up-z0.qiniup.com,upload-z0.qiniup.com",
	}, extra...)...)
}

func TestQiniu(t *testing.T) {
	c, err := Load(qiniu(), "", Mode{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Storage != StorageQiniu || len(c.QiniuUpHosts) != 2 || c.QiniuPrivateBucket != "exports" || c.QiniuTimeout.String() != "30s" {
		t.Errorf("got %+v", c)
	}
	if text := fmt.Sprintf("%v %+v %#v", c, c, c); strings.Contains(text, "-leak-") {
		t.Errorf("a key is printed: %s", text)
	}
	if _, err := Load(qiniu("QINIU_UP_HOSTS=http://127.0.0.1:9500", "QINIU_RS_HOST=http://127.0.0.1:9500"), "", Mode{}); err != nil {
		t.Errorf("a private deployment: %v", err)
	}
}

func TestQiniuIsChecked(t *testing.T) {
	_, err := Load(production("STORAGE=qiniu"), "", Mode{})
	for _, name := range []string{
		"QINIU_ACCESS_KEY", "QINIU_SECRET_KEY", "QINIU_BUCKET", "QINIU_PRIVATE_BUCKET", "QINIU_DOMAIN", "QINIU_PRIVATE_DOMAIN", "QINIU_UP_HOSTS",
	} {
		if err == nil || !strings.Contains(err.Error(), name+": is required") {
			t.Errorf("no word of %s in:\n%v", name, err)
		}
	}
	for want, change := range map[string]string{
		"QINIU_PRIVATE_BUCKET": "QINIU_PRIVATE_BUCKET=covers",
		"QINIU_DOMAIN":         "QINIU_DOMAIN=ftp://img.example.com",
		"QINIU_PRIVATE_DOMAIN": "QINIU_PRIVATE_DOMAIN=https://files.example.com?x=1",
		"QINIU_UP_HOSTS":       "QINIU_UP_HOSTS=http://",
		"QINIU_RS_HOST":        "QINIU_RS_HOST=https://user@rs.example.com",
		"QINIU_RS_HOST: is":    "QINIU_UP_HOSTS=up.example.com",
		"QINIU_TIMEOUT":        "QINIU_TIMEOUT=1ms",
	} {
		if _, err := Load(qiniu(change), "", Mode{}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "-leak-") {
			t.Errorf("%s: got %v, want a problem with %s", change, err, want)
		}
	}
}
