package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// PasswordCost is what one argon2id hash costs (RFC 9106). The zero value is the default: 19 MiB,
// two passes, one thread (RFC 9106 calls
// it parallelism).
type PasswordCost struct {
	MemoryKiB uint32
	Passes    uint32
	Threads   uint8
}

var defaultCost = PasswordCost{MemoryKiB: 19 * 1024, Passes: 2, Threads: 1}

const (
	saltSize        = 16
	hashSize        = 32
	maxPasswordSize = 1024 // bytes; more is not hashed and is wrong
	// waitersPerSlot bounds how many may wait for a turn to hash, about two seconds of work.
	waitersPerSlot = 32
)

// Bounds of what is read back: a damaged row must not take the machine's memory.
const (
	maxMemoryKiB = 256 * 1024
	maxPasses    = 32
	maxThreads   = 16
)

// hasher makes and verifies password hashes, as many at once as there are processors but one: that
// one is for requests of other kinds, which would wait for a hash each while a flood of tries
// lasts.
type hasher struct {
	cost PasswordCost
	// a hash nobody knows the password of, to spend the same time on unknown accounts
	dummy string
	slots *fairSlots
}

func newHasher(cost PasswordCost) *hasher {
	if cost == (PasswordCost{}) {
		cost = defaultCost
	}
	slots := max(1, runtime.GOMAXPROCS(0)-1)
	h := &hasher{cost: cost, slots: newFairSlots(slots, waitersPerSlot*slots)}
	h.dummy = h.encode([]byte(rand.Text()), randomBytes(saltSize))
	return h
}

// hash returns the PHC string of a password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	// Without an address: who gets so far has proved who they are, or is an administrator.
	release, err := h.slots.take(ctx, netip.Addr{})
	if err != nil {
		return "", err
	}
	defer release()
	return h.encode([]byte(password), randomBytes(saltSize)), nil
}

// verify reports whether the password is the hash's. A hash that is empty or can't be read is
// nobody's and takes as long as any other. An error says that nothing was verified. from is whom
// the slot is for; slots are shared fairly by network.
func (h *hasher) verify(ctx context.Context, from netip.Addr, hash, password string) (bool, error) {
	release, err := h.slots.take(ctx, from)
	if err != nil {
		return false, err
	}
	defer release()
	if len(password) > maxPasswordSize {
		// Hashed as something else instead of refused, so that it takes as long as any other.
		hash, password = h.dummy, ""
	}
	// Hashes of installations from before argon2id; recordLogin replaces them at the next login.
	if isBcrypt(hash) {
		return bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil, nil
	}
	parsed, err := parsePHC(hash)
	known := err == nil
	if !known {
		parsed, _ = parsePHC(h.dummy)
	}
	got := argon2.IDKey([]byte(password), parsed.salt, parsed.cost.Passes, parsed.cost.MemoryKiB, parsed.cost.Threads,
		uint32(len(parsed.sum)))
	return subtle.ConstantTimeCompare(got, parsed.sum) == 1 && known, nil
}

// outdated reports whether a hash should be made anew with today's algorithm and cost.
func (h *hasher) outdated(hash string) bool {
	parsed, err := parsePHC(hash)
	return err != nil || parsed.cost != h.cost || len(parsed.sum) != hashSize
}

func (h *hasher) encode(password, salt []byte) string {
	sum := argon2.IDKey(password, salt, h.cost.Passes, h.cost.MemoryKiB, h.cost.Threads, hashSize)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, h.cost.MemoryKiB, h.cost.Passes, h.cost.Threads, b64(salt), b64(sum))
}

type phc struct {
	cost      PasswordCost
	salt, sum []byte
}

var errNotPHC = errors.New("auth: not an argon2id hash")

// parsePHC reads $argon2id$v=19$m=19456,t=2,p=1$<salt>$<sum>.
func parsePHC(s string) (phc, error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errNotPHC
	}
	var p phc
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.cost.MemoryKiB, &p.cost.Passes, &p.cost.Threads); n != 3 || err != nil {
		return phc{}, errNotPHC
	}
	c := p.cost
	if c.MemoryKiB > maxMemoryKiB || c.Passes < 1 || c.Passes > maxPasses || c.Threads < 1 || c.Threads > maxThreads {
		return phc{}, errNotPHC
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return phc{}, errNotPHC
	}
	if p.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(p.sum) < 16 || len(p.sum) > 64 {
		return phc{}, errNotPHC
	}
	return p, nil
}

func isBcrypt(hash string) bool {
	return strings.HasPrefix(hash, "$2a$") || strings.HasPrefix(hash, "$2b$") || strings.HasPrefix(hash, "$2y$")
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: the program ends when the system has no randomness
	return b
}
