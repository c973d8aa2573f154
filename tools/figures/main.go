// Command figures prints how readable the Go code of a checkout is, in the figures that
// docs/decisions and the change log compare before and after a large change: how much of it is
// comment, how long functions and files are, how dense lines are, and how often it uses words
// that only this project would know where the field has a term.
//
//	go -C tools run ./figures            the checkout above tools/
//	go -C tools run ./figures -list      with the place of everything that is counted against us
//	go -C tools run ./figures -check     exits with 1 when an aim is missed
//	go -C tools run ./figures -root DIR -only pkg/job
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	root := flag.String("root", "..", "the checkout to read")
	only := flag.String("only", "", "a folder of it, such as pkg/job; default: all of it")
	list := flag.Bool("list", false, "print the place of every finding")
	check := flag.Bool("check", false, "exit with 1 when an aim is missed")
	flag.Parse()

	figures, err := read(*root, *only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(2)
	}
	missed := figures.print(os.Stdout, *list)
	if *check && missed > 0 {
		os.Exit(1)
	}
}
