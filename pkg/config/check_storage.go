package config

import (
	"net/url"
	"strings"
)

// checkStorage asks for what the chosen storage needs, and ignores the variables of the other: a
// deployment may keep both sets while it moves.
func (c *Config) checkStorage(bad report) {
	switch c.Storage {
	case StorageDisk:
	case StorageQiniu:
		c.checkQiniu(bad)
		return
	default:
		bad("STORAGE: %q is unknown; use disk or qiniu", c.Storage)
	}
	if c.StorageDir == "" {
		bad("STORAGE_DIR: is required: a directory that every api and worker process shares")
	}
}

// publicCloud is how upload hosts end from whose name the other hosts follow.
const publicCloud = ".qiniup.com"

// checkQiniu asks for both keys, both buckets and where they are reached.
func (c *Config) checkQiniu(bad report) {
	for _, v := range []struct{ name, value, what string }{
		{"QINIU_ACCESS_KEY", string(c.QiniuAccessKey), "the account's access key"},
		{"QINIU_SECRET_KEY", string(c.QiniuSecretKey), "the account's secret key"},
		{"QINIU_BUCKET", c.QiniuBucket, "the bucket of what anyone may see"},
		{"QINIU_PRIVATE_BUCKET", c.QiniuPrivateBucket, "the bucket of exported files, with access set to private"},
		{"QINIU_DOMAIN", c.QiniuDomain, "where the public bucket's files are fetched"},
		{"QINIU_PRIVATE_DOMAIN", c.QiniuPrivateDomain, "where the private bucket's files are fetched"},
		{"QINIU_UP_HOSTS", strings.Join(c.QiniuUpHosts, ","), "the hosts that take uploads, such as up-z0.qiniup.com"},
	} {
		if v.value == "" {
			bad("%s: is required: %s", v.name, v.what)
		}
	}
	// One bucket for both would make every exported file public.
	if c.QiniuBucket != "" && c.QiniuBucket == c.QiniuPrivateBucket {
		bad("QINIU_PRIVATE_BUCKET: must be another bucket than QINIU_BUCKET, whose files anyone can fetch")
	}
	hosts := map[string][]string{
		"QINIU_DOMAIN":         {c.QiniuDomain},
		"QINIU_PRIVATE_DOMAIN": {c.QiniuPrivateDomain},
		"QINIU_UP_HOSTS":       c.QiniuUpHosts,
		"QINIU_RS_HOST":        {c.QiniuRSHost},
	}
	for name, all := range hosts {
		for _, host := range all {
			if host != "" && !isHost(host) {
				bad("%s: %q is not a host such as files.example.com, or http://files.example.com", name, host)
			}
		}
	}
	// From a public upload host the SDK knows the others; for a private cloud it would guess wrong
	// and send credentials to the public one.
	if c.QiniuRSHost == "" && len(c.QiniuUpHosts) > 0 && !strings.HasSuffix(c.QiniuUpHosts[0], publicCloud) {
		bad("QINIU_RS_HOST: is required where QINIU_UP_HOSTS does not begin with a host of the public cloud")
	}
}

// isHost reports whether text is a host, perhaps with a scheme, a port and a path.
func isHost(text string) bool {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
