// Package admin is the back office: one folder per system, and the contract each of them keeps.
//
// A system is a Module, plain data with its routes, datasets, tables, permissions, jobs and
// channels. Deps is everything a module may use outside its own folder. Modules never import one
// another, the export engine, or the wiring; they meet in events, which run in one transaction
// with what caused them. pkg/arch_test.go checks the imports.
//
// To add a system: a folder beside this file and one line in admin/all.
//
// Modules and what they are built of are safe for concurrent use once they are made.
package admin
