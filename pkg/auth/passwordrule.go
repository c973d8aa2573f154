package auth

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"exporthub/pkg/errs"
)

// How long a password must and may be, in characters.
const (
	MinPassword = 8
	MaxPassword = 128
)

// commonPasswords are those that are tried first and are long enough to pass otherwise.
var commonPasswords = []string{
	"12345678", "123456789", "1234567890", "0123456789", "87654321", "11111111", "88888888", "00000000", "66666666",
	"12341234", "11223344", "password", "password1", "passw0rd", "p@ssw0rd", "qwertyui", "qwertyuiop", "1qaz2wsx", "1q2w3e4r",
	"1q2w3e4r5t", "qwer1234", "asdfghjkl", "abcd1234", "abc12345", "admin123", "admin888", "administrator", "iloveyou",
	"5201314520", "a1234567", "a12345678", "aa123456", "woaini1314", "letmein1", "exporthub",
}

// demoPasswords are what the demo people log in with, known to everybody.
var demoPasswords = []string{"123456"}

// CheckPassword says what is wrong with a new password, as an Invalid error about the field; taken
// are names the person goes by (account, phone), which the password must not be.
func CheckPassword(field, password string, taken ...string) error {
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.IndexFunc(password, unicode.IsControl) >= 0:
		return errs.Invalidf(field, "含有无法使用的字符，请换一个密码")
	case n < MinPassword:
		return errs.Invalidf(field, "密码至少 %d 个字符", MinPassword)
	case n > MaxPassword:
		return errs.Invalidf(field, "密码最多 %d 个字符", MaxPassword)
	}
	first, _ := utf8.DecodeRuneInString(password)
	lower := strings.ToLower(strings.TrimSpace(password))
	if strings.Trim(password, string(first)) == "" || slices.Contains(commonPasswords, lower) {
		return errs.Invalidf(field, "密码太常见，容易被猜到，请换一个")
	}
	for _, name := range taken {
		if name != "" && lower == strings.ToLower(name) {
			return errs.Invalidf(field, "密码不能与账号或手机号相同")
		}
	}
	return nil
}
