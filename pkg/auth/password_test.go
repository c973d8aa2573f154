package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"exporthub/pkg/errs"
)

var testCost = PasswordCost{MemoryKiB: 64, Passes: 1, Threads: 1}

func TestHasher(t *testing.T) {
	h := newHasher(testCost)
	ctx := t.Context()
	hash, err := h.hash(ctx, "正确 horse")
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("hash = %q, %v", hash, err)
	}
	if again, _ := h.hash(ctx, "正确 horse"); again == hash {
		t.Error("two hashes of one password are the same")
	}
	legacy, err := bcrypt.GenerateFromPassword([]byte("正确 horse"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	expensive, _ := newHasher(PasswordCost{MemoryKiB: 128, Passes: 2, Threads: 2}).hash(ctx, "正确 horse")
	parts := strings.Split(hash, "$")
	cases := map[string]struct {
		hash     string
		right    bool
		outdated bool
	}{
		"ours":             {hash, true, false},
		"another cost":     {expensive, true, true},
		"bcrypt":           {string(legacy), true, true},
		"bcrypt 2y":        {"$2y" + string(legacy[3:]), true, true},
		"broken bcrypt":    {"$2a$04$short", false, true},
		"empty":            {"", false, true},
		"the dummy":        {h.dummy, false, false},
		"another salt":     {strings.Replace(hash, parts[4], "AAAAAAAAAAAAAAAAAAAAAA", 1), false, false},
		"another sum":      {strings.Replace(hash, parts[5], strings.Repeat("A", 43), 1), false, false},
		"no salt":          {strings.Replace(hash, parts[4], "", 1), false, true},
		"short sum":        {strings.Replace(hash, parts[5], "AAAA", 1), false, true},
		"another variant":  {strings.Replace(hash, "argon2id", "argon2i", 1), false, true},
		"another version":  {strings.Replace(hash, "v=19", "v=16", 1), false, true},
		"all memory":       {strings.Replace(hash, "m=64", "m=4294967295", 1), false, true},
		"no passes":        {strings.Replace(hash, "t=1", "t=0", 1), false, true},
		"no threads":       {strings.Replace(hash, "p=1", "p=0", 1), false, true},
		"no numbers":       {strings.Replace(hash, "m=64", "m=x", 1), false, true},
		"password in text": {"正确 horse", false, true},
	}
	for name, c := range cases {
		if right, err := h.verify(ctx, netip.Addr{}, c.hash, "正确 horse"); right != c.right || err != nil {
			t.Errorf("%s: verify = %t, %v, want %t", name, right, err, c.right)
		}
		if wrong, err := h.verify(ctx, netip.Addr{}, c.hash, "wrong"); wrong || err != nil {
			t.Errorf("%s: verify of a wrong password = %t, %v", name, wrong, err)
		}
		if got := h.outdated(c.hash); got != c.outdated {
			t.Errorf("%s: outdated = %t, want %t", name, got, c.outdated)
		}
	}
	if right, err := h.verify(ctx, netip.Addr{}, hash, strings.Repeat("x", maxPasswordSize+1)); right || err != nil {
		t.Errorf("an endless password: %t, %v", right, err)
	}
}

func TestDefaultCost(t *testing.T) {
	h := newHasher(PasswordCost{})
	if !strings.HasPrefix(h.dummy, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("default hash %q", h.dummy)
	}
}

func TestHasherBoundsWhoWaits(t *testing.T) {
	h := newHasher(testCost)
	ctx := t.Context()
	for range h.slots.free {
		if _, err := h.slots.take(ctx, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := h.slots.take(canceled, netip.Addr{}); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with an ended context: %v", err)
	}
	h.slots.limit = 0 // as if all that may wait did
	_, err := h.slots.take(ctx, netip.Addr{})
	if !errs.Is(err, errs.Unavailable) || errs.As(err).RetryAfter == 0 {
		t.Errorf("one too many: %v", err)
	}
	if got := h.slots.waiting; got != 0 {
		t.Errorf("%d wait after all were answered", got)
	}
	h.slots.release()
	release, err := h.slots.take(ctx, netip.Addr{})
	if err != nil {
		t.Fatalf("a free slot: %v", err)
	}
	release()
}

func TestCheckPassword(t *testing.T) {
	good := []string{"correct horse", "八个汉字也足够了", strings.Repeat("长1", 64), "p4ss w0rd!"}
	for _, p := range good {
		if err := CheckPassword("password", p, "admin"); err != nil {
			t.Errorf("CheckPassword(%q) = %v", p, err)
		}
	}
	bad := map[string]string{
		"七个汉字不够的": "至少", "": "至少", strings.Repeat("长1", 64) + "x": "最多", "aaaaaaaaaa": "常见", "Password1": "常见",
		"admin.person": "相同", "ADMIN.Person": "相同", "with\ttabulator": "字符", "broken\xff1234": "字符",
	}
	for p, why := range bad {
		err := CheckPassword("new_password", p, "", "admin.person")
		if !errs.Is(err, errs.Invalid) || errs.As(err).Fields[0].Name != "new_password" || !strings.Contains(errs.As(err).Fields[0].Reason, why) {
			t.Errorf("CheckPassword(%q) = %v, want new_password: %s", p, err, why)
		}
	}
}
