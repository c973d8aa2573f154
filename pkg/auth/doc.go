// Package auth knows who is calling and what they may do: people, passwords, tokens, their
// revocation, roles and permissions, and the capabilities that let a page listen to its exports.
//
// # Use
//
//	service, err := auth.New(auth.Options{DB: db, Secret: secret, PublicURL: url})
//	err = service.Seed(ctx, permissions)                  // once, after the migrations
//	httpapi.Mount(router, append(routes, service.Routes()...),
//		httpapi.Options{Authorize: service.Authorize})
//
// Handlers find their caller with From; what a caller holds is asked with Can. The socket
// identifies its sessions with Identify and asks Alive while they live.
//
// # Tokens
//
// A token is a JWT (RFC 7519) signed with HS256, good for 24 hours. Its claims are aud (the
// person's id, a JSON number), iss, sub, iat, exp, jti and epoch (how often all tokens of that
// person had been ended when it was made). It is taken from the headers ACCESS-TOKEN and
// Authorization (with or without "Bearer") and from the cookie exporthub_token:
//
//   - A token in a header wins over the cookie, and when it is no good the cookie is not tried: the
//     caller said who they want to be.
//   - Two headers with the same token are one token; two different tokens are refused, since either
//     choice could act for the wrong person.
//   - An empty header is an absent one, and an Authorization header of another scheme (Basic, from
//     a proxy in front) is none of ours.
//
// The jti is "<session>.<token>". Renewing keeps the session, so that logging out ends what was
// renewed along the way as well; the token that was renewed stays good to its own end, for requests
// on their way and other tabs. Disabling or deleting a person and changing a password raise the
// person's epoch, which ends all their tokens and capabilities.
//
// What is known of a person, a session and the roles is read from the database and kept for
// Options.CacheTTL, so that changes reach every replica within that time without Redis. While the
// database is away nobody can be identified: the answer is Unavailable, never Unauthenticated, so
// that nobody is logged out by an outage.
//
// # Passwords
//
// Passwords are kept as argon2id (RFC 9106) hashes; bcrypt hashes of older installations are
// verified and replaced at the next login. Five wrong passwords within 15 minutes lock that person
// for that address for 15 minutes, whichever endpoint they were tried at. Unknown accounts count,
// cost and answer the same.
//
// # Concurrency
//
// A Service is safe for concurrent use and starts no goroutines. Simultaneous questions about one
// person are one load, done by the first who asks and finished within three seconds even when that
// caller has gone.
package auth
