// Package page runs the page's own end-to-end suite in a real browser against the running system.
package page
