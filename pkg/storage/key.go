package storage

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"exporthub/pkg/errs"
)

// What a key may be: bytes in all, and between two slashes (file systems take 255, adapters need
// some of it).
const (
	maxKey     = 512
	maxSegment = 200
)

// CheckKey reports, as an Invalid error, why key can't name an object. A key is one or more
// segments with slashes between them; a segment is valid UTF-8, does not begin with a dot and holds
// no backslash, control or invisible character.
func CheckKey(key string) error {
	if key == "" {
		return refuse(key, "不能为空")
	}
	if err := CheckPrefix(key); err != nil {
		return err
	}
	if strings.HasSuffix(key, "/") {
		return refuse(key, "不能以 / 结尾")
	}
	return nil
}

// CheckPrefix reports, as an Invalid error, why prefix can't begin a key. It may be empty, end with
// a slash, or end inside a segment.
func CheckPrefix(prefix string) error {
	if len(prefix) > maxKey {
		return refuse(prefix, "最长 %d 字节", maxKey)
	}
	if !utf8.ValidString(prefix) {
		return refuse(prefix, "不是有效的 UTF-8")
	}
	for _, r := range prefix {
		// A backslash separates folders on Windows. Invisible characters would make two different
		// keys look alike in logs and in the store's own console.
		if r == '\\' || !unicode.IsPrint(r) {
			return refuse(prefix, "含有不允许的字符 %q", r)
		}
	}
	segments := strings.Split(prefix, "/")
	for i, s := range segments {
		switch {
		// The last segment of a prefix may be empty: "export/" is a prefix of keys, and no key
		// itself.
		case s == "" && i < len(segments)-1:
			return refuse(prefix, "有空的路径段")
		case strings.HasPrefix(s, "."):
			return refuse(prefix, "路径段不能以 . 开头")
		case len(s) > maxSegment:
			return refuse(prefix, "每段最长 %d 字节", maxSegment)
		}
	}
	return nil
}

// refuse names the key in the error's field, so that a form can show it beside the input.
func refuse(key, format string, args ...any) error {
	// The key comes from outside and may be long; the message goes into answers and logs.
	if len(key) > 100 {
		key = strings.ToValidUTF8(key[:100], "") + "…"
	}
	return errs.Invalidf("key", "文件键 %q 无效:%s", key, fmt.Sprintf(format, args...))
}

// exports is the folder of exported files.
const exports = "export/"

// ObjectKey is the key of an exported file, export/<unix>_<uuid>.<ext>: unix is the first second of
// the attempt that wrote it, above 0; uuid the job's in its canonical lower-case form; ext one to
// ten lower-case letters and digits. Everything else is an Invalid error.
func ObjectKey(unix int64, uuid, ext string) (string, error) {
	switch {
	case unix <= 0:
		return "", errs.Invalidf("key", "时间 %d 无效", unix)
	case !isUUID(uuid):
		return "", errs.Invalidf("key", "任务编号 %q 无效", uuid)
	case !isExtension(ext):
		return "", errs.Invalidf("key", "扩展名 %q 无效", ext)
	}
	return exports + strconv.FormatInt(unix, 10) + "_" + uuid + "." + ext, nil
}

// ParseObjectKey takes apart what ObjectKey made; what it could not have made is an Invalid error.
func ParseObjectKey(key string) (unix int64, uuid, ext string, err error) {
	invalid := func() (int64, string, string, error) {
		return 0, "", "", refuse(key, "不是导出文件")
	}
	name, found := strings.CutPrefix(key, exports)
	if !found {
		return invalid()
	}
	seconds, rest, found := strings.Cut(name, "_")
	if !found {
		return invalid()
	}
	// A missing extension is caught below: ObjectKey refuses an empty one.
	uuid, ext, _ = strings.Cut(rest, ".")
	if unix, err = strconv.ParseInt(seconds, 10, 64); err != nil {
		return invalid()
	}
	// Made again it must be the same: that refuses +1, 01 and the like.
	if made, err := ObjectKey(unix, uuid, ext); err != nil || made != key {
		return invalid()
	}
	return unix, uuid, ext, nil
}

// isUUID accepts the canonical form only, so that one job has one spelling and one key. Parsers of
// libraries also take upper case, braces and urn: prefixes.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if b != '-' {
				return false
			}
		case !('0' <= b && b <= '9' || 'a' <= b && b <= 'f'):
			return false
		}
	}
	return true
}

// isExtension keeps formats' names harmless in file names and in the Content-Disposition header.
func isExtension(s string) bool {
	for i := range len(s) {
		if b := s[i]; !('0' <= b && b <= '9' || 'a' <= b && b <= 'z') {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 10
}
