// Package ratelimit says how often somebody may do something: so many times a minute for each key,
// such as a person.
//
// # Use
//
//	limit := ratelimit.NewShared(rdb, ratelimit.Options{PerMinute: 300, Name: "export"})
//	defer limit.Close()
//	if err := ratelimit.Check(ctx, limit, strconv.FormatInt(userID, 10)); err != nil {
//		return err // TooMany, with RetryAfter
//	}
//
// Both limiters follow the generic cell rate algorithm (GCRA, a leaky bucket as a meter, ITU-T
// I.371): a key that was quiet for a minute may do all of its minute at once, and then one more
// every 1/PerMinute of a minute. What is refused does not count.
//
// Local counts within this process. Shared counts in Redis for all processes together; while Redis
// is away each process counts by itself, so that a limit is never worse than PerMinute times the
// number of processes, and nobody waits.
//
// # Concurrency
//
// Limiters are safe for concurrent use.
package ratelimit
