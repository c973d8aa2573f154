// Package deploy holds compose.yaml, the Dockerfile and nginx.conf against the programs: whatever
// they name has to be what the programs really have. There is no Docker where the tests run.
package deploy
