// Package storagetest is the suite that every storage.Store passes. An adapter's test calls Run;
// what only it can do (its files, its wire format, its faults) it tests itself.
package storagetest
