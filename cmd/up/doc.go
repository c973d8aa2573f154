// Command up runs Exporthub in parts on one machine, for developers without Docker: two API
// replicas behind a proxy, three workers, Redis and PostgreSQL, and with STORAGE=qiniu the fake
// Qiniu, all on the loopback. It is the topology of compose.yaml as processes.
//
//	make up      # starts everything in the background and says where it is
//	make down    # stops it; make up again finds the data as it was
//
// Data, logs and the process id are under data/up. A variable of the README's table that is set in
// the environment reaches the programs (LOG_LEVEL=debug make up), except those that say where the
// parts are, which are this command's. With STORAGE=qiniu and a QINIU_ACCESS_KEY that account is
// used instead of the fake, which loses its files when it is stopped.
//
// A part that ends by itself is started again after a second. When this command is killed its parts
// end with it, on Linux; elsewhere they have to be stopped by hand.
package main
