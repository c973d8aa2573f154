// Package admin is the back office: one folder per system, and the contract each of them keeps.
//
// A system is a Module, plain data that tells the rest of the program everything it needs to
// know; what a system may reach beyond its own folder is Deps. Systems never import each other,
// the engine, or the wire. To add one: a folder beside this file and one line in admin/all.
package admin
