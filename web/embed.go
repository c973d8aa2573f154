package web

import (
	"embed"
	"io/fs"
	"net/http"
)

// "all:" takes in the placeholder, whose name begins with a dot.
//
//go:embed all:dist
var embedded embed.FS

// Dist is the built page: index.html, assets/ with hashed names and their .gz siblings, faye/.
// Before the page is built it holds the placeholder only.
func Dist() fs.FS { return sub(embedded, "dist") }

// Built reports whether the binary carries the page rather than the placeholder.
func Built() bool { return built(Dist()) }

// FayeClient holds faye-browser-min.js, faye-browser.js and a .map of each, byte for byte as the
// npm package faye ships them. Before the page is built it is empty: opening a file answers
// [fs.ErrNotExist].
func FayeClient() fs.FS { return sub(Dist(), "faye") }

// Handler serves the page: its hashed assets for good, every other address of the single-page
// application as index.html. What has a file extension, or lies under /assets/ or /faye/, and does
// not exist is 404, so a stale page learns that its assets are gone instead of running HTML as a
// script. While the page is not built every request answers 503.
func Handler() http.Handler { return newHandler(Dist()) }

func built(dist fs.FS) bool {
	info, err := fs.Stat(dist, "index.html")
	return err == nil && info.Mode().IsRegular()
}

// sub is fs.Sub for names known to be valid, the only thing fs.Sub can object to.
func sub(parent fs.FS, dir string) fs.FS {
	child, err := fs.Sub(parent, dir)
	if err != nil {
		panic("web: " + err.Error())
	}
	return child
}
