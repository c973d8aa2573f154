// Command bench measures how workbooks are written, ours beside its peers in one session:
//
//	go run ./pkg/export/bench -rows 200000,1000000 -rounds 3
//
// Every measurement is a process of its own, so that its peak memory is honest; the writers take
// turns, so that what else the machine does hits all alike; what is printed are medians and their
// ratios. With -job it measures whole exports, from rows in a database to the finished file; make
// bench starts it under real services.
package main
